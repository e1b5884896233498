import asyncio
import time


class Cache:
    def __init__(self):
        self.index_lock = asyncio.Lock()
        self.files_lock = asyncio.Lock()
        self.index, self.files = {}, {}

    async def store(self, url, body):
        async with self.files_lock:
            await asyncio.sleep(0.01)
            self.files[url] = body
            async with self.index_lock:
                self.index[url] = len(body)

    async def evict(self):
        async with self.index_lock:
            oldest = next(iter(self.index), None)
            await asyncio.sleep(0.01)
            async with self.files_lock:
                self.files.pop(oldest, None)


async def crawl(cache, n):
    for i in range(100):
        await cache.store(f"{n}/{i}", "x" * i)


async def janitor(cache):
    while True:
        await asyncio.sleep(0.05)
        await cache.evict()


async def main():
    cache = Cache()
    sweep = asyncio.create_task(janitor(cache), name="janitor")
    print("hung_at", time.time() + 0.05, flush=True)
    await asyncio.gather(*(crawl(cache, n) for n in range(3)))
    sweep.cancel()


asyncio.run(main())
