"""The frame around a row of a job that is worked on: whose work it is, how long it took, and whether it got done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
from prometheus_client import Counter, Histogram

from shared_lib.observability import context, tracing

if TYPE_CHECKING:
    from shared_lib.models import OriginModel

log = structlog.get_logger(__name__)

SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

ROWS = Counter("shop_job_rows_total", "Attempts at rows of jobs by what became of them", ["kind", "outcome"])
ROW_SECONDS = Histogram("shop_job_row_seconds", "Time of an attempt", ["kind"], buckets=SECONDS_BUCKETS)


class Attempt:
    """One attempt; it failed if `fail()` was called or an exception came."""

    def __init__(self) -> None:
        self.failed = False

    def fail(self) -> None:
        self.failed = True


@contextmanager
def working_on(row: OriginModel) -> Iterator[Attempt]:
    """What runs inside is the work that `row` was written for: it has the request id and the trace of whoever wrote it.

    So a sweeper goes on with the trace of the request, however much later.
    """
    job, attempt, started = row._meta.label_lower, Attempt(), time.perf_counter()
    with (
        context.resumed(request_id=row.request_id, traceparent=row.traceparent),
        tracing.span(f"job {job}", "consumer", {"shop.job_row": row.pk}) as span,
    ):
        try:
            yield attempt
        except BaseException:
            attempt.fail()
            raise
        finally:
            seconds, outcome = time.perf_counter() - started, "done"
            if attempt.failed:
                outcome = "failed"
                span.fail(outcome)
            ROWS.labels(job, outcome).inc()
            ROW_SECONDS.labels(job).observe(seconds)
            log.info("job", job=job, row=str(row.pk), outcome=outcome, ms=round(seconds * 1000, 1))
