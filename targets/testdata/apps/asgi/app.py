"""An ASGI page, with nothing but Python, whose cost is set by the environment: CPU_MS and WAIT_MS as of
../flask. It computes in the event loop, as most applications do, and waits as a coroutine."""

import asyncio
import os
import random
import time

CPU = float(os.environ.get("CPU_MS", "0")) / 1000
WAIT = float(os.environ.get("WAIT_MS", "0")) / 1000


async def lifespan(receive, send):
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    until = time.thread_time() + CPU
    x = 1
    while time.thread_time() < until:
        for _ in range(50):
            x = (x * 1103515245 + 12345) & 0x7FFFFFFF
    if WAIT:
        await asyncio.sleep(random.expovariate(1 / WAIT))
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"3")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok\n"})
