"""tiny launcher: python launch.py PYTHON RANKS PORT"""
import os, subprocess, sys, time
n = int(sys.argv[2])
procs = []
for r in range(n):
    env = dict(os.environ, RANK=str(r), WORLD_SIZE=str(n), STORE_PORT=sys.argv[3])
    procs.append(subprocess.Popen([sys.argv[1], "-u", os.path.join(os.path.dirname(os.path.abspath(__file__)), "vocab.py")], env=env))
t0 = time.time()
while any(p.poll() is None for p in procs):
    print("[launcher] %4ds  running %d/%d" % (time.time() - t0, sum(p.poll() is None for p in procs), n), flush=True)
    time.sleep(2)
