"""Rank 1's checkpoint thread still holds a lock that its training needs; rank 0 waits for it in the barrier."""
import os, sys, threading, time
import torch, torch.distributed as dist

os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = "127.0.0.1", sys.argv[2]
os.environ["RANK"], os.environ["WORLD_SIZE"] = sys.argv[1], "2"
dist.init_process_group("gloo")
me = dist.get_rank()
model, guard = torch.nn.Linear(4, 4), threading.Lock()


class Saver(threading.Thread):
    def run(self):
        with guard:
            self.write()

    def write(self):
        r, _ = os.pipe()
        os.read(r, 1)  # the storage daemon confirms


def update():
    with guard:
        for p in model.parameters():
            p.data -= 0.1


for step in range(20):
    if step == 12 and me == 1:
        Saver(daemon=True).start()
        time.sleep(0.2)
    if step == 12:
        print("hung_at", time.time(), flush=True)
    update()
    dist.all_reduce(model.weight.data)
