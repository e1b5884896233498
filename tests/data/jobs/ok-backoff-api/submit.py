import os, random, time


class Client:
    """asks the scheduler's API, politely"""
    def __init__(self):
        self.calls = 0

    def status(self, job):
        self.calls += 1
        if self.calls % 3:
            raise ConnectionError('429 too many requests')
        return random.choice(['queued', 'running'])

    def poll(self, job):
        delay = 12
        while True:
            try:
                return self.status(job)
            except ConnectionError as e:
                print('retry in', delay, e, flush=True)
                print('READY', os.getpid(), flush=True)
                time.sleep(delay)
                delay = min(delay * 2, 45)


c = Client()
while True:
    print(c.poll('exp-17'), flush=True)
