import queue, threading, time

q = queue.Queue()


def worker():
    while True:
        doc = q.get()
        if doc % 10 == 9:
            continue  # bad document; forgets task_done
        q.task_done()


def index_all():
    for doc in range(50):
        q.put(doc)
    print("hung_at", time.time(), flush=True)
    q.join()


for _ in range(3):
    threading.Thread(target=worker, daemon=True).start()
index_all()
