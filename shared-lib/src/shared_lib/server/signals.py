"""Signals in a process with more threads than one.

The kernel hands a signal to any thread that does not block it, and Python runs handlers in the main thread alone. A main thread
that waits for a lock is woken only by a signal of its own: of two that come at once, one or both may reach another thread, and
their handlers would not run before the next signal.
"""

from __future__ import annotations

import os
import signal
import threading
import time

#: Its default is to be ignored. Handlers run in the order of their numbers, so that of each signal sent here comes first.
_POKE = signal.SIGURG
_PAUSE = 0.05


class _Poker:
    def __init__(self) -> None:
        self._main = threading.get_ident()
        self._heard = False
        self._told, told = os.pipe()
        os.set_blocking(told, False)
        signal.signal(_POKE, self._hear)
        signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        threading.Thread(target=self._run, name="signals", daemon=True).start()

    def _hear(self, *_: object) -> None:
        self._heard = True

    def _run(self) -> None:
        while True:
            if any(number != _POKE for number in os.read(self._told, 64)):
                self._poke()

    def _poke(self) -> None:
        """Repeated, since the main thread may be about to wait when it is poked, and so not notice."""
        self._heard = False
        while not self._heard:
            signal.pthread_kill(self._main, _POKE)
            time.sleep(_PAUSE)


def heed() -> None:
    """From now on the main thread runs the handler of every signal, whichever thread of this process gets it.

    To be called in the main thread, once in each process: what is forked from it has to call it again.
    """
    _Poker()
