"""Workers meet at a barrier once the main thread has loaded the next part, which takes its time."""
import threading
import time

meeting = threading.Barrier(4)


def work():
    while True:
        meeting.wait()


def load(parts):
    for part in range(parts):
        time.sleep(1)
        print("looks_stuck: loading part", part, flush=True)


for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
for epoch in range(5):
    load(60)
    meeting.wait()
