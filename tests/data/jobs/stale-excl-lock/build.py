import os, sys, time, errno, logging
logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
ROOT = os.path.join(os.getcwd(), "tokcache")

class FileGuard(object):
    def __init__(self, path):
        self.path = path
    def __enter__(self):
        waited = 0
        while True:
            try:
                fd = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR)
                os.write(fd, str(os.getpid()).encode())
                os.close(fd)
                return self
            except OSError as e:
                if e.errno != errno.EEXIST:
                    raise
            time.sleep(0.5)
            waited += 1
            if waited % 4 == 0:
                logging.info("tokenizer cache is being built by another process (%d s)", waited // 2)
    def __exit__(self, *a):
        os.unlink(self.path)

def build_tokenizer(corpus):
    with FileGuard(os.path.join(ROOT, "vocab.json.lock")):
        return sorted(set(corpus.split()))

if __name__ == "__main__":
    os.makedirs(ROOT, exist_ok=True)
    open(os.path.join(ROOT, "vocab.json.lock"), "w").write("23117")   # left over from a run that was killed
    print("hung_at", time.time(), flush=True)
    print(build_tokenizer("a b c a"))
