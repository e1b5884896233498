import asyncio, threading, time


class Bridge:
    """Calls coroutines from plain code."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="bridge", daemon=True).start()

    def call(self, coro):
        return asyncio.run_coroutine_threadsafe(coro, self.loop).result()


bridge = Bridge()


async def load(key):
    await asyncio.sleep(0.01)
    return key.upper()


def load_sync(key):
    return bridge.call(load(key))


async def handler():
    print("hung_at", time.time(), flush=True)
    return load_sync("a")  # plain code called from the loop that has to run it


print(bridge.call(handler()))
