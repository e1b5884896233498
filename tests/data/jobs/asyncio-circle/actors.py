import asyncio, time


class Actor:
    def __init__(self, name):
        self.name, self.done = name, asyncio.Event()
        self.other = None

    async def work(self):
        await asyncio.sleep(0.2)
        await self.wait_for_other()
        self.done.set()

    async def wait_for_other(self):
        await self.other.done.wait()


async def main():
    a, b = Actor("a"), Actor("b")
    a.other, b.other = b, a
    print("hung_at", time.time() + 0.2, flush=True)
    await asyncio.gather(a.work(), b.work())


asyncio.run(main())
