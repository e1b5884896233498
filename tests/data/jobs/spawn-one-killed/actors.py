"""Four actor processes that average their weights now and then."""
import datetime, multiprocessing, os, signal, sys, time
import torch
import torch.distributed as dist


class Actor(multiprocessing.Process):
    def __init__(self, number, port):
        super().__init__(name="actor-%d" % number)
        self.number, self.port = number, port

    def run(self):
        self.store = dist.TCPStore("127.0.0.1", self.port, is_master=self.number == 0, timeout=datetime.timedelta(days=1))
        print("actor", self.number, "is", os.getpid(), flush=True)
        for episode in range(10):
            time.sleep(0.2)
            if (self.number, episode) == (2, 3):
                print("hung_at", time.time(), flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
            self.average(episode)

    def average(self, episode):
        self.store.set("w/%d/%d" % (episode, self.number), "x")
        for other in range(4):
            self.store.get("w/%d/%d" % (episode, other))


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    crew = [Actor(n, int(sys.argv[1])) for n in range(4)]
    for actor in crew:
        actor.start()
    crew[0].join()
