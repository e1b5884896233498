import time


def newton(f, df, x):
    while abs(f(x)) > 0:
        x = x - f(x) / df(x)
    return x


print("solving, hung_at", time.time(), flush=True)
print(newton(lambda x: x * x - 2.0, lambda x: 2 * x, 3.0))
