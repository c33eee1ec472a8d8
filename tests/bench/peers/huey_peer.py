"""Huey on SQLite with every commit synced: `add`, `enqueue N`, `work N` by its consumer. Prints seconds.

A task is deleted before it runs: a crash loses it.
"""

import os
import sys
import threading
import time

from huey import SqliteHuey

MESSAGE = "x" * 250
huey = SqliteHuey(filename=os.environ["HUEY_FILE"], fsync=True, results=False)
done, all_done, wanted = [], threading.Event(), 0


@huey.task()
def nothing(recipient, subject, message):
    done.append(recipient)
    if len(done) == wanted:
        all_done.set()


def enqueue(count):
    for n in range(count):
        nothing(f"user{n}@example.org", "subject", MESSAGE)


def work(count):
    global wanted
    wanted = count
    enqueue(count)
    consumer = huey.create_consumer(workers=int(os.environ.get("HUEY_WORKERS", 1)), periodic=False, initial_delay=0.01)
    begun = time.perf_counter()
    consumer.start()
    all_done.wait()
    took = time.perf_counter() - begun
    consumer.stop(graceful=True)
    return took


if __name__ == "__main__":
    what = sys.argv[1]
    if what == "add":
        nothing("ops@example.org", "subject", MESSAGE)
    elif what == "enqueue":
        begun = time.perf_counter()
        enqueue(int(sys.argv[2]))
        print(time.perf_counter() - begun)
    else:
        print(work(int(sys.argv[2])))
