import gc


class Node:
    __slots__ = ("links", "up")

    def __init__(self, up):
        self.up, self.links = up, []


def build(n):
    root = Node(None)
    root.up = root
    for _ in range(n):
        child = Node(root)
        root.links.append(child)
    return root


def clean():
    return gc.collect()


gc.disable()
keep = build(2_000_000)
print("collecting", flush=True)
while True:
    build(200_000)
    clean()
