import threading, time, queue

events = queue.Queue()


def deliver():
    while True:
        item = events.get()
        print("delivered", item, flush=True)


threading.Thread(target=deliver, name="delivery").start()
for n in range(3):
    events.put(n)
    time.sleep(0.1)
print("training finished, hung_at", time.time(), flush=True)
