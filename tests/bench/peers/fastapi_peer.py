"""FastAPI before Celery on Redis: a notification is answered once the broker has the task. Run by uvicorn."""

import os

from celery import Celery
from fastapi import FastAPI
from pydantic import BaseModel

URL = f"redis://127.0.0.1:{os.environ.get('REDIS_PORT')}/0"

queue = Celery("fastapi_peer", broker=URL)
queue.conf.update(task_ignore_result=True, broker_pool_limit=64)


@queue.task
def notify(channel, to, subject, message):
    pass


class Notification(BaseModel):
    channel: str
    to: str
    subject: str | None = None
    message: str


app = FastAPI()


# Not `async`: Celery's publishing blocks, and FastAPI gives each such handler a thread of its pool.
@app.post("/v1/notifications", status_code=202)
def enqueue(new: Notification):
    task = notify.delay(new.channel, new.to, new.subject, new.message)
    return {"id": task.id, "status_url": f"/v1/notifications/{task.id}", "created": True}


@app.get("/healthz")
def live():
    return "ok"
