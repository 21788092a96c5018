"""A point in time as contracts write it: RFC 3339 with an offset (`2026-11-22T18:30:00Z`); without one it is refused."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
