import asyncio
import sys
import time


async def serve(reader, writer):
    await reader.readline()
    await asyncio.Event().wait()


async def ask(port, question):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(question.encode() + b"\n")
    await writer.drain()
    return await reader.readline()


async def main(port):
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with server:
        print("hung_at", time.time(), flush=True)
        print(await ask(port, "how many rows?"))


asyncio.run(main(int(sys.argv[1])))
