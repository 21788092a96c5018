"""`make release`: asks what runs, tests, and packages one service; see docs/deploying.md.

from release import Order, run
run(Order(root, "svc-cart", "1.2.0", releases=Path(".local/releases")), running)
"""

from release.engine import Order, run
from release.refusal import Refused

__all__ = ["Order", "Refused", "run"]
