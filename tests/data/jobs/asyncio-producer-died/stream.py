import asyncio, random, time

async def parse(record: str) -> dict:
    await asyncio.sleep(0.02)
    k, v = record.split("=")
    return {k: float(v)}

async def produce(q: asyncio.Queue, n: int):
    for i in range(n):
        rec = f"f{i}={i * 0.5}" if i != 60 else "f60:30.0"
        await q.put(await parse(rec))

async def collate(q: asyncio.Queue, size: int):
    batch = []
    while len(batch) < size:
        batch.append(await q.get())
    return batch

async def train(q: asyncio.Queue, state):
    while state["step"] < 500:
        batch = await collate(q, 8)
        state["step"] += 1
        state["loss"] = 1 / state["step"]
        await asyncio.sleep(0.005)

async def stats(state):
    while True:
        await asyncio.sleep(1.5)
        print(f"{time.strftime('%X')} step={state['step']} loss={state.get('loss', 0):.3f} loop_time={asyncio.get_running_loop().time():.1f}", flush=True)

async def main():
    q = asyncio.Queue(maxsize=32)
    state = {"step": 0}
    jobs = {asyncio.create_task(produce(q, 100000), name="producer"),}
    asyncio.create_task(stats(state), name="stats")
    print("hung_at", time.time(), flush=True)
    await train(q, state)
    await asyncio.gather(*jobs)

asyncio.run(main())
