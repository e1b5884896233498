#!/bin/sh
# the usual: output also to a file; an epoch takes its time
$1 -u - <<'P' | tee train.log
import time, os, random
print('READY', os.getpid(), flush=True)
w = [0.0] * 50
for epoch in range(1000):
    for step in range(400):
        g = [random.gauss(x - 1, 1) for x in w]
        w = [a - 0.01 * b for a, b in zip(w, g)]
        time.sleep(0.04)
    print('epoch', epoch, sum(w), flush=True)
P
