import torch

torch.set_num_threads(1)


def block(x, k):
    for n in range(12):
        x = torch.sin(x) * k + torch.nn.functional.gelu(x @ x.T)[:, : x.shape[1]] * n
        x = torch.softmax(x, 1) + torch.cumsum(x, 0)
    return x


print("compiling", flush=True)
size = 8
while True:
    torch.compiler.reset()
    torch.compile(block, dynamic=False)(torch.randn(size, size), 0.5 + size / 100)
    size += 1
