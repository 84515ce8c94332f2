"""A WSGI page, with nothing but Python, whose cost is set by the environment: CPU_MS and WAIT_MS as of
../flask, and HOLD_MB of memory from when it is imported, LOAD_MB more until that is done."""

import os
import random
import time

CPU = float(os.environ.get("CPU_MS", "0")) / 1000
WAIT = float(os.environ.get("WAIT_MS", "0")) / 1000
HELD = os.urandom(int(float(os.environ.get("HOLD_MB", "0")) * 1e6))

LOADED = os.urandom(int(float(os.environ.get("LOAD_MB", "0")) * 1e6))
while LOADED and time.thread_time() < 0.5:
    pass
del LOADED


def app(environ, start_response):
    until = time.thread_time() + CPU
    x = 1
    while time.thread_time() < until:
        for _ in range(50):
            x = (x * 1103515245 + 12345) & 0x7FFFFFFF
    if WAIT:
        time.sleep(random.expovariate(1 / WAIT))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\n"]
