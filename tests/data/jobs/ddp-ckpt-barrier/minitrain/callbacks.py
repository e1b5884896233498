import os
import time

import torch
import torch.distributed as dist


class Callback:
    def on_step_end(self, trainer, step):
        pass


class ModelCheckpoint(Callback):
    """Writes last.pt every `every` steps."""

    def __init__(self, folder, every=5):
        self.folder, self.every = folder, every

    def on_step_end(self, trainer, step):
        if step % self.every or not trainer.is_main:
            return
        self.write(trainer, step)

    def write(self, trainer, step):
        os.makedirs(self.folder, exist_ok=True)
        torch.save(trainer.model.module.state_dict(), os.path.join(self.folder, "last.pt"))
        print("saved at step", step, "hung_at", time.time(), flush=True)
        dist.barrier()  # nobody reads a half written file


class Printer(Callback):
    def on_step_end(self, trainer, step):
        print(f"[rank {dist.get_rank()}] pid={os.getpid()} step {step} loss {trainer.loss:.3f}", flush=True)
