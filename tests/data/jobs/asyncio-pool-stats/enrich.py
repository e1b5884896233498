"""Price enrichment service, asyncio with a small pool for the blocking driver."""
import asyncio
import concurrent.futures
import random
import time


class Driver:
    """Blocking client of the price database."""

    def query(self, sku):
        time.sleep(0.02)
        return random.Random(sku).random()


class Enricher:
    def __init__(self, loop, workers=3):
        self.loop = loop
        self.pool = concurrent.futures.ThreadPoolExecutor(workers, thread_name_prefix="db")
        self.driver = Driver()
        self.cache, self.done = {}, 0

    async def price(self, sku):
        if sku not in self.cache:
            self.cache[sku] = await self.loop.run_in_executor(self.pool, self.driver.query, sku)
        return self.cache[sku]

    def bundle(self, skus):
        """Runs in the pool: old blocking code that needs prices."""
        total = 0.0
        for s in skus:
            total += asyncio.run_coroutine_threadsafe(self.price(s), self.loop).result()
        return total

    async def handle(self, req):
        total = await self.loop.run_in_executor(self.pool, self.bundle, req)
        self.done += 1
        return total


async def requests(enricher):
    rnd = random.Random(4)
    width = 1
    while True:
        batch = [[rnd.randrange(100000) for _ in range(4)] for _ in range(width)]
        if width == 3:
            print("hung_at", time.time(), flush=True)
        await asyncio.gather(*(enricher.handle(b) for b in batch))
        width = min(width + 1, 6)
        await asyncio.sleep(0.2)


async def stats(enricher):
    while True:
        await asyncio.sleep(2)
        print("requests done", enricher.done, "cached", len(enricher.cache), flush=True)


async def main():
    enricher = Enricher(asyncio.get_running_loop())
    await asyncio.gather(requests(enricher), stats(enricher))


asyncio.run(main())
