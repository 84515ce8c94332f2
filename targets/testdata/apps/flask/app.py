"""A Flask application whose cost per request is set by the environment.

CPU_MS     CPU time of a request in milliseconds, all that Flask and gunicorn do for it included
WAIT_MS    time it then waits without using CPU, as for a database: exponential with this mean, since
           fixed waits lock the workers into step with the scheduler's slices
MEMORY_MB  memory each worker keeps for itself, in MiB

/slow takes ten times as much CPU time as /.
"""

import os
import random
import threading
import time

from flask import Flask

CPU = float(os.environ.get("CPU_MS", "1")) / 1000
WAIT = float(os.environ.get("WAIT_MS", "0")) / 1000
MEMORY = int(float(os.environ.get("MEMORY_MB", "0")) * 1024 * 1024)

app = Flask(__name__)

_private = None
_thread = threading.local()


def _touch():
    """Takes the memory in the worker: what the master has is shared with its children."""
    global _private
    if _private is None:
        _private = bytearray(MEMORY)
        for i in range(0, MEMORY, 4096):
            _private[i] = 1


def _burn(times=1):
    """Computes until the thread has used CPU since it ended its last burn.

    So the answer to the last request and the acceptance of this one count too, about half a
    millisecond that the application can't see otherwise.
    """
    until = getattr(_thread, "last", time.thread_time()) + times * CPU
    x = 1
    while time.thread_time() < until:
        for _ in range(50):
            x = (x * 1103515245 + 12345) & 0x7FFFFFFF
    _thread.last = time.thread_time()


@app.get("/")
def index():
    _touch()
    _burn()
    if WAIT:
        time.sleep(random.expovariate(1 / WAIT))
    return {"worker": os.getpid()}


@app.get("/slow")
def slow():
    _touch()
    _burn(10)
    return {"worker": os.getpid()}


@app.get("/fail")
def fail():
    return "failed on purpose\n", 500
