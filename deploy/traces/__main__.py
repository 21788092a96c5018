"""Run by the local stack: `python -m traces`. Settings: TRACES_HOST, TRACES_PORT, TRACES_FILE, TRACES_MOST_SPANS."""

import os
import signal
import sys
from pathlib import Path

from traces.store import Store
from traces.web import Web


def main() -> None:
    store = Store(Path(os.environ["TRACES_FILE"]), most=int(os.environ.get("TRACES_MOST_SPANS", "200000")))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Web((os.environ["TRACES_HOST"], int(os.environ["TRACES_PORT"])), store).serve_forever()


if __name__ == "__main__":
    main()
