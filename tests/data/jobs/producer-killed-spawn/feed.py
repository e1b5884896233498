"""Three parsers fill a queue; a thread passes their rows on to the loop."""
import multiprocessing as mp
import os
import queue
import signal
import threading
import time

END = None


def parse(part, out, rows):
    for row in range(rows):
        if part == 1 and row == 40:
            print("parser 1 is", os.getpid(), "hung_at", time.time() + 1, flush=True)
            out.close()
            out.join_thread()
            os.kill(os.getpid(), signal.SIGKILL)
        out.put((part, row))
    out.put(END)


def pass_on(source, target, parts):
    while parts:
        row = source.get()
        if row is END:
            parts -= 1
        else:
            target.put(row)
    target.put(END)


def main():
    spawn = mp.get_context("spawn")
    parsed, ready = spawn.Queue(64), queue.Queue(16)
    for part in range(3):
        spawn.Process(target=parse, args=(part, parsed, 100)).start()
    threading.Thread(target=pass_on, args=(parsed, ready, 3), daemon=True).start()
    taken = 0
    while ready.get() is not END:
        taken += 1
    print("rows", taken)


if __name__ == "__main__":
    main()
