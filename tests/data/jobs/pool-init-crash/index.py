import multiprocessing as mp
import os
import time

model = None


def load_model():
    global model
    with open(os.environ.get("MODEL_DIR", "/models") + "/embedder.bin", "rb") as f:
        model = f.read()


def embed(text):
    return len(model) + len(text)


if __name__ == "__main__":
    print("embedding hung_at", time.time(), flush=True)
    os.dup2(os.open("worker.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND), 2)
    with mp.get_context("forkserver").Pool(2, initializer=load_model) as pool:
        print(sum(pool.map(embed, ["a", "bb", "ccc"])))
