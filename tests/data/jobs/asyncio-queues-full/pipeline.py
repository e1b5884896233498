import asyncio, os, random, time


class Pipeline:
    def __init__(self):
        self.todo = asyncio.Queue(maxsize=16)
        self.done = asyncio.Queue(maxsize=16)

    async def source(self):
        for i in range(200):
            await self.todo.put((i, 0))
            if i % 4 == 3:
                await asyncio.sleep(0)
        print('source is through')

    async def encode(self):
        while True:
            i, tries = await self.todo.get()
            await asyncio.sleep(0.0005)
            await self.done.put((i, tries))

    async def check(self):
        """what is bad goes back to the start"""
        ok = 0
        while ok < 200:
            i, tries = await self.done.get()
            if ok == 60:
                print('READY', os.getpid(), 'hung_at', time.time(), flush=True)
            if ok >= 60 and tries < 4:
                for _ in range(3):
                    await self.todo.put((i, tries + 1))
            else:
                ok += 1
        return ok


async def main():
    p = Pipeline()
    workers = [asyncio.create_task(p.encode(), name=f'enc{k}') for k in range(3)]
    src = asyncio.create_task(p.source(), name='source')
    print(await p.check())
    for w in workers:
        w.cancel()


asyncio.run(main())
