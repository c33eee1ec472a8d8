"""Celery on Redis: `enqueue N` by `delay`, `work N` by one worker. Prints seconds; starting up is not counted.

The worker is set up for speed as the documentation says: no results, no events, no gossip, many prefetched, one pool
without processes to feed. By its default it acknowledges a task before it runs: a crash loses that task.
"""

import os
import signal
import subprocess
import sys
import time

import redis
from celery import Celery

MESSAGE = "x" * 250
URL = f"redis://127.0.0.1:{os.environ.get('REDIS_PORT')}/0"

app = Celery("celery_peer", broker=URL)
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=500, broker_connection_retry_on_startup=True)


@app.task
def nothing(recipient, subject, message):
    pass


def enqueue(count):
    for n in range(count):
        nothing.delay(f"user{n}@example.org", "subject", MESSAGE)


def work(count):
    enqueue(count)
    server = redis.Redis.from_url(URL)
    left = lambda: server.llen("celery") + server.hlen("unacked")
    options = os.environ.get("CELERY_WORKER", "--pool=solo").split()
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=ERROR"]
    command = [sys.executable, "-m", "celery", "-A", "celery_peer", "worker", *options, *quiet]
    worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while left() == count:
            assert worker.poll() is None, "the worker has ended"
            time.sleep(0.002)
        begun = time.perf_counter()
        while left():
            assert worker.poll() is None, "the worker has ended"
            time.sleep(0.01)
        return time.perf_counter() - begun
    finally:
        worker.terminate()
        worker.wait()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the worker ends first
    what, count = sys.argv[1], int(sys.argv[2])
    redis.Redis.from_url(URL).flushall()
    if what == "enqueue":
        enqueue(1)  # connects
        begun = time.perf_counter()
        enqueue(count)
        print(time.perf_counter() - begun)
    else:
        print(work(count))
