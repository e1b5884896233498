import torch
from minitrain import Trainer
from minitrain.callbacks import ModelCheckpoint, Printer


def batches(n=200):
    for _ in range(n):
        yield torch.randn(16, 12), torch.randint(0, 4, (16,))


def main():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(12, 32), torch.nn.Tanh(), torch.nn.Linear(32, 4))
    Trainer(model, [Printer(), ModelCheckpoint("out", every=5)]).fit(batches())


if __name__ == "__main__":
    main()
