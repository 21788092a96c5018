"""`python -m sandbox`, from the folder of svc-payments. One process; it ends with the one that started it."""

from __future__ import annotations

import logging
import sys

import uvicorn

from sandbox.app import Sandbox
from sandbox.exceptions import BadSettings
from sandbox.settings import Settings
from sandbox.store import Store
from shared_lib.server import die_with_parent


def main() -> None:
    die_with_parent()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log a line for each webhook
    # Cut answers are asked for; the server would take each for a mistake.
    logging.getLogger("uvicorn.error").addFilter(
        lambda record: "without completing response" not in record.msg
    )
    try:
        settings = Settings.from_environment()
        store = Store(settings.database)
    except BadSettings as error:
        sys.exit(str(error))
    uvicorn.run(
        Sandbox(settings, store),
        host=settings.host,
        port=settings.port,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=3,
    )


if __name__ == "__main__":
    main()
