"""Log lines are also sent to the metrics thread, which logs what it does."""
import logging
import queue
import threading
import time

log = logging.getLogger("app")


class MetricsHandler(logging.Handler):
    def __init__(self):
        super().__init__()
        self.inbox = queue.Queue()
        self.thread = threading.Thread(target=self.pump, name="metrics", daemon=True)
        self.thread.start()

    def emit(self, record):
        seen = threading.Event()
        self.inbox.put((record.getMessage(), seen))
        seen.wait()  # errors must not be lost when the process dies

    def pump(self):
        while True:
            text, seen = self.inbox.get()
            if "loss is nan" in text:
                log.warning("metrics: alarm for %r", text)
            seen.set()


def train():
    for step in range(100):
        loss = 1.0 / (step + 1) if step != 30 else float("nan")
        if loss != loss:
            print("hung_at", time.time(), flush=True)
            log.error("loss is nan at step %d", step)
        log.info("step %d", step)


logging.basicConfig(level=logging.INFO, handlers=[MetricsHandler()])
train()
