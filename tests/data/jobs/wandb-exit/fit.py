import random, sys, time
import tracker

run = tracker.Run(int(sys.argv[1]))
w = 0.0
for i in range(30):
    w += 0.1 * (random.gauss(3, 1) - w)
    run.log(step=i, w=w)
    time.sleep(0.02)
print("done, w =", w, flush=True)
