import subprocess
import time


class Video:
    def __init__(self, path):
        self.path = path

    def frames(self):
        p = subprocess.Popen(["./decode", self.path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        print("decoder pid", p.pid, flush=True)
        for row in p.stdout:
            yield int(row.split()[1])
        if p.wait():
            raise RuntimeError(p.stderr.read())


def build_clip_index(paths):
    index = {}
    for path in paths:
        print("indexing", path, "hung_at", time.time(), flush=True)
        index[path] = list(Video(path).frames())
    return index


print(len(build_clip_index(["a.mp4", "b.mp4"])))
