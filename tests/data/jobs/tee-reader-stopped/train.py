import os, random, sys


def train(epochs):
    w = 0.0
    for e in range(epochs):
        for b in range(200):
            w += random.gauss(0, 1)
            print('epoch %4d batch %4d weight %8.4f' % (e, b, w) + ' ' * 20 + '.' * 40)
    return w


print(train(10000))
