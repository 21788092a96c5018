"""`make audit`: reads all databases of the shop and says where they contradict each other. It can write nothing.

from audit import run
report = run({"svc-orders": "postgresql://...", ...}, in_flight_limit=0, wait=15)
assert report.clean, report.broken
"""

from audit.databases import Unreadable
from audit.engine import run
from audit.invariants import INVARIANTS
from audit.model import SERVICES, Difference, Invariant, Report

__all__ = ["INVARIANTS", "SERVICES", "Difference", "Invariant", "Report", "Unreadable", "run"]
