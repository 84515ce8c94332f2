"""A WSGI page that computes a fixed amount, LOOPS rounds of arithmetic, whatever CPU time that takes where it
runs: a core that is shared, or slower, shows."""

import os

LOOPS = int(os.environ.get("LOOPS", "1000"))


def app(environ, start_response):
    x = 1
    for _ in range(LOOPS):
        x = (x * 1103515245 + 12345) & 0x7FFFFFFF
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\n"]
