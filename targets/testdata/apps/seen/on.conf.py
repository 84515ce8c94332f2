import os

here = os.path.basename(__file__)
assert here == "on.conf.py", here
preload_app = os.path.exists(__file__)
worker_class = "gthread"
threads = 4
