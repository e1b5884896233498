import os, sys, time, hashlib, torch
import torch.distributed as dist

FLAG = 'tokens.%s' % os.environ.get('TORCHELASTIC_RUN_ID', 'x')


def tokenize(seconds):
    out, t, h = [], time.time(), 'seed'
    while time.time() - t < seconds:
        h = hashlib.md5(h.encode()).hexdigest()
        out.append(h[:2])
        if len(out) > 100000:
            out = []
    return out


def get_data():
    if dist.get_rank() == 0:
        if os.path.exists(FLAG):
            os.unlink(FLAG)
        print('READY', 0, os.getpid(), flush=True)
        tokenize(150)
        open(FLAG, 'w').close()
    else:
        time.sleep(1)
        print('READY', dist.get_rank(), os.getpid(), flush=True)
        while not os.path.exists(FLAG):
            time.sleep(2)


dist.init_process_group('gloo')
get_data()
dist.barrier()
print('all have the data')
