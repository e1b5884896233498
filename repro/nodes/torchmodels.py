"""What a PyTorch step trains, by the name in `--set model=`: a module that makes a loss of a batch, and its batches.

The shapes are those of `repro.workloads`; gradients are whole tensors, for that is what all ranks add up.
"""

import torch
from torch import nn
from torch.nn import functional


class Linear(nn.Module):
    """One small layer: nothing but the all-reduce takes time."""

    def __init__(self, settings):
        super().__init__()
        self.layer = nn.Linear(8, 4)

    def forward(self, batch):
        return self.layer(batch).sum()

    @staticmethod
    def batch(settings, generator):
        return torch.ones(settings["rows"], 8)


class Layer(nn.Module):
    """A pre-norm decoder layer with causal attention."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.mixed = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def attention(self, x):
        rows, sequence, width = x.shape
        qkv = self.qkv(x).view(rows, sequence, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*qkv, is_causal=True)
        return self.mixed(mixed.transpose(1, 2).reshape(rows, sequence, width))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.narrow(functional.gelu(self.wide(self.norm2(x))))


class Transformer(nn.Module):
    """A small GPT; the output shares the token embedding."""

    def __init__(self, settings):
        super().__init__()
        width = settings["width"]
        self.tokens = nn.Embedding(settings["vocabulary"], width)
        self.positions = nn.Parameter(0.02 * torch.randn(settings["sequence"], width))
        self.layers = nn.Sequential(*(Layer(width, settings["heads"]) for _ in range(settings["layers"])))
        self.norm = nn.LayerNorm(width)

    def forward(self, batch):
        x = self.norm(self.layers(self.tokens(batch[:, :-1]) + self.positions))
        logits = functional.linear(x, self.tokens.weight)
        return functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())

    @staticmethod
    def batch(settings, generator):
        shape = (settings["rows"], settings["sequence"] + 1)
        return torch.randint(settings["vocabulary"], shape, generator=generator)


class SampledSoftmax(nn.Module):
    """The next of many items, against candidates by the log-uniform distribution, drawn with replacement."""

    def __init__(self, settings):
        super().__init__()
        self.samples, self.correction = settings["samples"], settings["correction"]
        self.items = nn.Embedding(settings["vocabulary"], settings["width"])
        self.weight = nn.Embedding(settings["vocabulary"], settings["width"])
        self.bias = nn.Embedding(settings["vocabulary"], 1)

    def log_expected(self, ids):
        """How often the samples are expected to have an id, as a logarithm."""
        share = torch.log1p(1.0 / (ids + 1.0)) / torch.log(torch.tensor(self.items.num_embeddings + 1.0))
        return torch.log(self.samples * share)

    def forward(self, batch):
        history, label = batch[:, :-1], batch[:, -1:]
        most = self.items.num_embeddings
        ids = (torch.exp(torch.rand(self.samples) * torch.log(torch.tensor(most + 1.0))) - 1).long().clamp(0, most - 1)
        hidden = self.items(history).mean(1)
        true = (hidden * self.weight(label[:, 0])).sum(1, keepdim=True) + self.bias(label[:, 0])
        sampled = hidden @ self.weight(ids).T + self.bias(ids).T
        if self.correction:
            true, sampled = true - self.log_expected(label), sampled - self.log_expected(ids)
        sampled = sampled.masked_fill(label == ids, -1e9)  # the label itself
        return functional.cross_entropy(torch.cat([true, sampled], 1), torch.zeros(len(batch), dtype=torch.long))

    @staticmethod
    def batch(settings, generator):
        return torch.randint(settings["vocabulary"], (settings["rows"], settings["history"] + 1), generator=generator)


MODELS = {"linear": Linear, "transformer": Transformer, "sampled-softmax": SampledSoftmax}

OPTIMIZERS = {
    "sgd": lambda values: torch.optim.SGD(values, 0.05),
    "momentum": lambda values: torch.optim.SGD(values, 0.05, momentum=0.9),
    "adagrad": lambda values: torch.optim.Adagrad(values, 0.05),
    "adam": lambda values: torch.optim.Adam(values, 0.001),
}
