import threading, time

PARTIES = 5
meeting = threading.Barrier(PARTIES)


def environment(n):
    for step in range(10):
        time.sleep(0.01 * n)
        if n == 3 and step == 4:
            return  # this episode ended early
        if step == 4:
            print("hung_at", time.time(), flush=True)
        meeting.wait()


ts = [threading.Thread(target=environment, args=(n,)) for n in range(PARTIES)]
for t in ts: t.start()
for t in ts: t.join()
