"""The supervisor's process: `python -m shop.supervise CONFIG [--die-with-parent]`."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def main(arguments: list[str]) -> None:
    """Become supervisord, and the parent of every orphan below it, so that none escapes to init."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if "--die-with-parent" in arguments:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() == 1:
            sys.exit("the parent is gone")
    from supervisor import supervisord

    supervisord.main(["-n", "-c", arguments[0]])


main(sys.argv[1:])
