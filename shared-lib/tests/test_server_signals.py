"""The main thread runs the handler of a signal, whichever thread of its process the kernel hands the signal to."""

from __future__ import annotations

import subprocess
import sys

PROCESS = """
import signal, threading, time
from shared_lib.server import signals

heard, all_heard = [], threading.Event()

def hear(number, frame):
    heard.append(signal.Signals(number).name)
    if len(heard) == 4:
        all_heard.set()

for number in (signal.SIGUSR1, signal.SIGTERM):
    signal.signal(number, hear)
other = threading.Thread(target=time.sleep, args=(60,), daemon=True)
other.start()
signals.heed()

def send():
    for number in (signal.SIGUSR1, signal.SIGTERM):
        time.sleep(0.2)
        signal.pthread_kill(other.ident, number)
    time.sleep(0.2)
    for number in (signal.SIGUSR1, signal.SIGTERM):
        signal.pthread_kill(other.ident, number)

threading.Thread(target=send, daemon=True).start()
all_heard.wait()
print(*heard)
"""


def test_signals_that_another_thread_gets_wake_the_main_thread() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", PROCESS], capture_output=True, text=True, timeout=20, check=True
    )
    assert answer.stdout.split() == ["SIGUSR1", "SIGTERM"] * 2
