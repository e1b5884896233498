import multiprocessing.connection as mc, os, sys, time

role, port = sys.argv[1], int(sys.argv[2])


def exchange(conn, n):
    conn.send(n)
    return conn.recv()


if role == "left":
    with mc.Listener(("127.0.0.1", port), authkey=b"k") as l:
        conn = l.accept()
else:
    while True:
        try:
            conn = mc.Client(("127.0.0.1", port), authkey=b"k")
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
n = 0
while True:
    exchange(conn, n)
    n += 1
    if n == 500:
        print("hung_at", time.time(), flush=True)
        if role == "right":
            group = "/sys/fs/cgroup/freezer/lastbatch-stranger-%d" % os.getpid()
            os.mkdir(group)
            open(group + "/cgroup.procs", "w").write(str(os.getpid()))
            open(group + "/freezer.state", "w").write("FROZEN")
