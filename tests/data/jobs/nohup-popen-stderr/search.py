import os, subprocess, sys, time

CHILD = r'''
import sys, random
for epoch in range(2000):
    loss = sum(random.random() for _ in range(50)) / 50
    sys.stderr.write("epoch %05d: loss=%.6f lr=1e-4 acc=%.3f grad_norm=%.5f\n" % (epoch, loss, 1 - loss, loss * 3))
print("best", loss)
'''


def run_trial(lr):
    env = dict(os.environ, LR=str(lr))
    p = subprocess.Popen([sys.executable, '-c', CHILD], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    print('READY trial', lr, 'me', os.getpid(), 'child', p.pid, 'hung_at', time.time(), flush=True)
    out = p.stdout.read()
    p.wait()
    return float(out.split()[1])


def search(lrs):
    best = None
    for lr in lrs:
        score = run_trial(lr)
        if best is None or score > best[0]:
            best = (score, lr)
    return best


if __name__ == '__main__':
    print(search([1e-4, 3e-4, 1e-3]))
