"""Jobs: side effects outside the database, and periodic work.

The guarantee is a row written in the transaction that wants the effect, and a periodic task that claims due rows. Celery
only makes it quick: `enqueue()` sends a hint after the commit, and a lost hint costs some seconds, never the effect.
"""

from shared_lib.jobs.app import celery_app
from shared_lib.jobs.hints import enqueue
from shared_lib.jobs.limits import SoftTimeLimitExceeded
from shared_lib.jobs.work import Attempt, working_on

__all__ = ["Attempt", "SoftTimeLimitExceeded", "celery_app", "enqueue", "working_on"]
