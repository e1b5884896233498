import os, time
import torch
import torch.distributed as dist

ATTEMPT = int(os.environ['TORCHELASTIC_RESTART_COUNT'])
RANK = int(os.environ['RANK'])
LOCK = 'prepare.lock'


def prepare_data():
    """one process per node unpacks the data set, guarded by a lock file"""
    if RANK != 1:
        return torch.arange(64.)
    while True:
        try:
            fd = os.open(LOCK, os.O_CREAT | os.O_EXCL)
            break
        except FileExistsError:
            time.sleep(1.0)
    if ATTEMPT == 0:
        raise RuntimeError('archive is damaged, try again')
    os.close(fd)
    os.unlink(LOCK)
    return torch.arange(64.)


def main():
    dist.init_process_group('gloo')
    if ATTEMPT:
        print('READY attempt', ATTEMPT, 'rank', RANK, os.getpid(), 'hung_at', time.time(), flush=True)
    data = prepare_data()
    total = data.sum()
    dist.all_reduce(total)
    print('total', total)


if __name__ == '__main__':
    if RANK == 1 and ATTEMPT == 0 and os.path.exists(LOCK):
        os.unlink(LOCK)
    main()
