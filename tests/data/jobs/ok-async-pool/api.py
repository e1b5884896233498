"""An asyncio service which computes in a process pool; nobody asks at night."""
import asyncio
import sys
from concurrent.futures import ProcessPoolExecutor


def infer(text):
    return text.upper()


class Service:
    def __init__(self):
        self.pool = ProcessPoolExecutor(2)

    async def handle(self, reader, writer):
        line = await reader.readline()
        out = await asyncio.get_running_loop().run_in_executor(self.pool, infer, line.decode())
        writer.write(out.encode())
        await writer.drain()
        writer.close()

    async def serve(self, port):
        server = await asyncio.start_server(self.handle, "127.0.0.1", port)
        r, w = await asyncio.open_connection("127.0.0.1", port)  # self test
        w.write(b"hello\n")
        print("self test:", (await r.readline()).decode(), flush=True)
        async with server:
            await server.serve_forever()


asyncio.run(Service().serve(int(sys.argv[1])))
