"""A WSGI page that tells what it sees of its server: the process that loaded it, the one that answers, and
the most requests this one has had at once. A request for /3 waits until that has been three."""

import os
import threading
import time

LOADED_BY = os.getpid()
HERE = threading.Condition()
now = most = 0


def app(environ, start_response):
    global now, most
    together = int(environ["PATH_INFO"].strip("/") or 1)
    with HERE:
        now += 1
        most = max(most, now)
        HERE.notify_all()
        HERE.wait_for(lambda: most >= together, 10)
    time.sleep(0.05)  # time for one too many
    with HERE:
        now -= 1
        text = f"{LOADED_BY} {os.getpid()} {most}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text]
