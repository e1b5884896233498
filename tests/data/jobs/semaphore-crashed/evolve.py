import multiprocessing as mp
import os, random, time


def evaluate(gpu_slots, genome, out):
    print('trial', genome['id'][1], 'is', os.getpid(), flush=True)
    gpu_slots.acquire()
    print('slot for', os.getpid(), flush=True)
    time.sleep(0.05)
    if genome['lr'] > 0.8:
        print('crash', os.getpid(), 'hung_at', time.time(), flush=True)
        os._exit(139)        # as a crash of the driver does
    out.put((genome['id'], random.random()))
    gpu_slots.release()


def generation(g, slots, out):
    ps = []
    for i in range(8):
        p = mp.Process(target=evaluate, args=(slots, {'id': (g, i), 'lr': random.random()}, out))
        p.start()
        ps.append(p)
    for p in ps:
        p.join()


if __name__ == '__main__':
    random.seed(12)
    mp.set_start_method('fork')
    slots, out = mp.Semaphore(2), mp.SimpleQueue()
    print('READY', os.getpid(), flush=True)
    for g in range(50):
        generation(g, slots, out)
        while not out.empty():
            out.get()
    print('fin')
