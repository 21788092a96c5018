"""What `config/celery.py` is for a service."""

from shared_lib.jobs import celery_app

app = celery_app("tests.settings", beat={"tick": ("effects.tasks.tick", 1.0)})
