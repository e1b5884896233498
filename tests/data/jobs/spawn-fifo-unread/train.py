"""four ranks; rank 0 streams the checkpoint through a fifo to an uploader"""
import multiprocessing as mp
import os, pickle, subprocess, sys, tempfile, random, time


def compute(rank, epoch):
    rnd = random.Random(rank * 100 + epoch)
    return sum(rnd.random() for _ in range(200000))


def start_uploader(path):
    # the uploader only reads the header before it waits for its "token"
    return subprocess.Popen(['bash', '-c', 'exec 3<"$0"; head -c 100 <&3 >/dev/null; sleep 99999', path])


def save(state, path):
    with open(path, 'wb', buffering=0) as f:
        f.write(pickle.dumps({'v': 1}))
        data = pickle.dumps(state)
        for i in range(0, len(data), 8192):
            f.write(data[i:i + 8192])


def rank_main(rank, bar, fifo):
    print('rank', rank, os.getpid(), flush=True)
    state = [float(i) for i in range(100000)]
    for epoch in range(10):
        compute(rank, epoch)
        bar.wait()
        if rank == 0:
            up = start_uploader(fifo)
            print('READY', os.getpid(), 'uploader', up.pid, 'hung_at', time.time(), flush=True)
            save(state, fifo)
            up.wait()
        bar.wait()


if __name__ == '__main__':
    mp.set_start_method('spawn')
    fifo = os.path.join(tempfile.mkdtemp(dir=os.getcwd()), 'ckpt.fifo')
    os.mkfifo(fifo)
    bar = mp.Barrier(4)
    ps = [mp.Process(target=rank_main, args=(r, bar, fifo)) for r in range(4)]
    for p in ps:
        p.start()
    for p in ps:
        p.join()
