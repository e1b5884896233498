def compute(values):
    total = 0
    for v in values:
        total += v
        if total > 5:
            print("stopped", flush=True)
            breakpoint()
    return total


compute(range(10))
