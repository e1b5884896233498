import datetime, os, signal, sys, time
import torch.distributed as dist

me, n, port = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
store = dist.TCPStore("127.0.0.1", port, n, me == 0, timeout=datetime.timedelta(hours=6))


def meet(epoch):
    store.set("epoch%d/%d" % (epoch, me), b"here")
    store.wait(["epoch%d/%d" % (epoch, other) for other in range(n)])


for epoch in range(5):
    time.sleep(0.3)
    if epoch == 3 and me == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if epoch == 3:
        print("hung_at", time.time(), flush=True)
    meet(epoch)
    print("epoch", epoch, flush=True)
