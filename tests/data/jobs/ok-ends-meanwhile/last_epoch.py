"""The last epoch of a job; it ends by itself some seconds later."""
import time


def evaluate(until):
    n = 0
    while time.time() < until:
        n += sum(range(1000))
    return n


print("last evaluation", flush=True)
evaluate(time.time() + 5)
print("accuracy 0.91", flush=True)
