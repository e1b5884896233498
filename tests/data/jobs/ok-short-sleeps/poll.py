import hashlib, time

digest, n = b"", 0


def tick():
    global digest, n
    digest = hashlib.sha256(digest + b"x" * 200000).digest()
    n += 1


while True:
    tick()
    time.sleep(0.02)
    if n == 10:
        print("ticking", flush=True)
