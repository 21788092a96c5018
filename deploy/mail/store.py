"""Messages on disk: one file each, as received. What is acknowledged survives a kill of the process."""

import os
import re
import secrets
import threading
import time
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

_ID = re.compile(r"\d{20}-[0-9a-f]{8}")
#: Beyond the bound the oldest go.
MOST_MESSAGES = 500


class Store:
    """The messages in one folder, at most `most`, newest first."""

    def __init__(self, folder: Path, most: int = MOST_MESSAGES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._most = most
        self._lock = threading.Lock()
        for unfinished in folder.glob("*.new"):
            unfinished.unlink()
        # By id. A message is read for its summary when somebody first lists it: most are never looked at.
        self._summaries: dict[str, dict[str, Any] | None] = dict.fromkeys(
            path.stem for path in sorted(folder.glob("*.eml"))
        )

    def add(self, sender: str, recipients: list[str], content: bytes) -> str:
        """Keep a message and return its id; it is on disk when this returns. Raises OSError when it cannot be kept."""
        name = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
        envelope = (
            f"X-Envelope-From: {_line(sender)}\r\nX-Envelope-To: {_line(', '.join(recipients))}\r\n".encode()
        )
        path = self._folder / f"{name}.eml"
        temporary = path.with_suffix(".new")
        with temporary.open("wb") as stream:
            stream.write(envelope + content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        with self._lock:
            self._summaries[name] = None
            surplus = sorted(self._summaries)[: -self._most] if len(self._summaries) > self._most else []
        for old in surplus:
            self.delete(old)
        return name

    def list(self, recipient: str | None = None) -> list[dict[str, Any]]:
        """`{id, received_at, sender, recipients, from, to, subject, size}` of each, of one recipient if one is given."""
        with self._lock:
            names = sorted(self._summaries, reverse=True)
        found = [summary for name in names if (summary := self._kept(name))]
        wanted = recipient.casefold() if recipient else None
        return [its for its in found if not wanted or wanted in (to.casefold() for to in its["recipients"])]

    def get(self, name: str) -> dict[str, Any] | None:
        """A summary with `headers` (pairs), `text`, `html` (either may be null) and `attachments`; None if there is none."""
        raw = self._read(name)
        if raw is None:
            return None
        message = _parse(raw)
        return {
            **self._summary(name, raw),
            "headers": [
                [key, str(value)] for key, value in message.items() if not key.startswith("X-Envelope-")
            ],
            "text": _body(message, "plain"),
            "html": _body(message, "html"),
            "attachments": [
                {"filename": part.get_filename() or "", "content_type": part.get_content_type()}
                for part in message.iter_attachments()
            ],
        }

    def delete(self, name: str) -> bool:
        """Forget one message; False if there is none."""
        with self._lock:
            known = name in self._summaries
            self._summaries.pop(name, None)
        if known:
            (self._folder / f"{name}.eml").unlink(missing_ok=True)
        return known

    def clear(self) -> None:
        """Forget every message."""
        with self._lock:
            names = list(self._summaries)
        for name in names:
            self.delete(name)

    def _kept(self, name: str) -> dict[str, Any] | None:
        """The summary of a message, None if it has been deleted meanwhile."""
        with self._lock:
            summary = self._summaries.get(name)
        if summary is None:
            raw = self._read(name)
            if raw is None:
                return None
            summary = self._summary(name, raw)
            with self._lock:
                if name in self._summaries:
                    self._summaries[name] = summary
        return summary

    def _read(self, name: str) -> bytes | None:
        if not _ID.fullmatch(name):
            return None
        try:
            return (self._folder / f"{name}.eml").read_bytes()
        except FileNotFoundError:
            return None

    def _summary(self, name: str, raw: bytes) -> dict[str, Any]:
        message = _parse(raw)
        received = datetime.fromtimestamp(int(name.partition("-")[0]) / 1e9, UTC)
        return {
            "id": name,
            "received_at": received.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "sender": str(message["X-Envelope-From"] or ""),
            "recipients": [to for to in str(message["X-Envelope-To"] or "").split(", ") if to],
            "from": str(message["From"] or ""),
            "to": str(message["To"] or ""),
            "subject": str(message["Subject"] or ""),
            "size": len(raw),
        }


def _line(text: str) -> str:
    return re.sub(r"[\r\n]", "", text)


def _parse(raw: bytes) -> EmailMessage:
    # raise_on_defect is off: a catcher has to show broken messages too.
    return message_from_bytes(raw, policy=policy.default)


def _body(message: EmailMessage, kind: str) -> str | None:
    part = message.get_body((kind,))
    if part is None:
        return None
    try:
        return str(part.get_content())
    except (LookupError, ValueError):
        # An unknown character set or a broken encoding.
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else str(payload)
