import sys, time
import torch, torch.distributed as dist


class Parallel:
    def __init__(self, rank, url):
        self.rank = rank
        dist.init_process_group("gloo", init_method=url, rank=rank, world_size=2)
        self.data_group = dist.new_group([0, 1])
        self.model_group = dist.new_group([0, 1])

    def sync_gradients(self):
        dist.all_reduce(torch.ones(5), group=self.data_group)

    def gather_activations(self):
        dist.all_reduce(torch.ones(7), group=self.model_group)

    def step(self, overlap):
        first, second = self.sync_gradients, self.gather_activations
        if overlap:
            first, second = second, first
        first()
        second()


p = Parallel(int(sys.argv[1]), sys.argv[2])
for n in range(10):
    if n == 6:
        print("hung_at", time.time(), flush=True)
    p.step(overlap=n == 6 and p.rank == 1)
