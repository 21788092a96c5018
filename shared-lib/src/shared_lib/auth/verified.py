"""What is known of tokens whose signature was verified: the same token comes with every request of ten minutes."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MOST = 4096


@dataclass(frozen=True, slots=True)
class Verified:
    """`key` verified the token, whose claims are these. `kid` is what the token calls it."""

    key: Any
    kid: str
    claims: dict[str, Any]

    @property
    def until(self) -> int:
        """`exp`, without the leeway that a clock gets: who comes so late is verified."""
        return int(self.claims["exp"])


class VerifiedTokens:
    """Remembers at most `most` valid tokens, by their digest.

    A token that is found here is as good as verified again: it is found only before its `exp`, while the key that verified it
    still counts (`counts` is asked each time), and with the issuer and audience that it was verified for, which are the
    caller's to keep constant. What is not valid is not remembered.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: OrderedDict[bytes, Verified] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, token: str, *, counts: Callable[[Verified], bool]) -> dict[str, Any] | None:
        """The claims, not to be changed; None when the token has to be verified."""
        digest = _digest(token)
        with self._lock:
            found = self._known.get(digest)
            if found is None:
                return None
            self._known.move_to_end(digest)
        if found.until > time.time() and counts(found):
            return found.claims
        with self._lock:
            self._known.pop(digest, None)
        return None

    def remember(self, token: str, verified: Verified) -> None:
        with self._lock:
            self._known[_digest(token)] = verified
            while len(self._known) > self._most:
                self._known.popitem(last=False)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
