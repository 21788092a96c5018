"""Run by the local stack: `python -m mail`. Its settings stand in `mail.settings`."""

import asyncio
import os
import sys
import threading

from aiosmtpd.smtp import SMTP, Envelope, Session

from mail.settings import BadSettings, Settings
from mail.store import Store
from mail.web import Web

LARGEST_MESSAGE = 10 * 1024 * 1024


class Inbox:
    """What the SMTP server does with a message. An OSError becomes a 5xx answer, and the sender keeps the message."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.original_content or b""
        await asyncio.to_thread(self._store.add, envelope.mail_from or "", list(envelope.rcpt_tos), content)
        return "250 Message kept"


async def serve(store: Store, host: str, smtp_port: int, web_port: int) -> None:
    """Listen on both ports until the process ends."""
    threading.Thread(target=Web((host, web_port), store).serve_forever, name="web", daemon=True).start()
    inbox = Inbox(store)
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(inbox, data_size_limit=LARGEST_MESSAGE, enable_SMTPUTF8=True, hostname="mail.localhost"),
        host,
        smtp_port,
    )
    await server.serve_forever()


if __name__ == "__main__":
    try:
        settings = Settings.of(os.environ)
    except BadSettings as error:
        sys.exit(str(error))
    asyncio.run(serve(Store(settings.folder), settings.host, settings.smtp_port, settings.web_port))
