import os, sys


def batches(stream, size):
    batch = []
    for line in stream:
        batch.append(float(line))
        if len(batch) == size:
            yield batch
            batch = []


print("learner", os.getpid(), flush=True)
mean = 0.0
with open(sys.argv[1], buffering=1) as f:
    for b in batches(f, 8):
        mean = 0.9 * mean + 0.1 * sum(b) / 8
