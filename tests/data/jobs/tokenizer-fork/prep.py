import ctypes, multiprocessing, os, sys, time

lib = ctypes.CDLL(os.path.abspath("libfasttok.so"))


def encode_shard(docs, out):
    print("tokenizer child", os.getpid(), "hung_at", time.time(), flush=True)
    out.put([lib.tok_encode(d.encode()) for d in docs])


def main():
    lib.tok_start()
    time.sleep(0.6)
    docs = [f"document {i}" for i in range(100)]
    ctx = multiprocessing.get_context("fork")
    out = ctx.Queue()
    child = ctx.Process(target=encode_shard, args=(docs, out))
    child.start()
    ids = out.get()
    child.join()
    print(len(ids))


main()
