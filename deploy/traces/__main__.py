"""Run by the local stack: `python -m traces`. Its settings stand in `traces.settings`."""

import os
import signal
import sys

from traces.settings import BadSettings, Settings
from traces.store import Store
from traces.web import Web


def main() -> None:
    try:
        settings = Settings.of(os.environ)
    except BadSettings as error:
        sys.exit(str(error))
    store = Store(settings.file, most=settings.most_spans)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Web((settings.host, settings.port), store).serve_forever()


if __name__ == "__main__":
    main()
