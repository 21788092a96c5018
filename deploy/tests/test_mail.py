"""The mail catcher, as a process of its own, over real SMTP and HTTP."""

import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest

from mail.store import Store
from shop.ports import choose_block

DEPLOY = Path(__file__).resolve().parents[1]


class Catcher:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.smtp_port, self.web_port = choose_block(2)
        self.web = httpx.Client(base_url=f"http://127.0.0.1:{self.web_port}")
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mail"],
            cwd=DEPLOY,
            env={
                "MAIL_HOST": "127.0.0.1",
                "MAIL_FOLDER": str(self.folder),
                "MAIL_SMTP_PORT": str(self.smtp_port),
                "MAIL_WEB_PORT": str(self.web_port),
            },
        )
        deadline = time.monotonic() + 20
        while True:
            try:
                smtplib.SMTP("127.0.0.1", self.smtp_port).quit()
                break
            except OSError:
                assert time.monotonic() < deadline, "the catcher does not listen"
                time.sleep(0.05)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def send(self, message: EmailMessage) -> None:
        with smtplib.SMTP("127.0.0.1", self.smtp_port) as smtp:
            smtp.send_message(message)

    def messages(self, **params: str) -> list[dict]:
        return self.web.get("/api/messages", params=params).json()["results"]


@pytest.fixture
def catcher(tmp_path: Path) -> Iterator[Catcher]:
    running = Catcher(tmp_path / "mail")
    yield running
    running.kill()
    running.web.close()


def letter(
    to: str = "buyer@example.com", subject: str = "Your order", html: str | None = None
) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "shop@example.com", to, subject
    message.set_content("Thank you, Zoë")
    if html is not None:
        message.add_alternative(html, subtype="html")
    return message


def test_a_message_is_listed_and_shown_with_its_text_and_html(catcher: Catcher) -> None:
    catcher.send(letter(subject="Grüße 你好", html="<p>Hello</p>"))
    (summary,) = catcher.messages()
    assert (summary["subject"], summary["recipients"]) == ("Grüße 你好", ["buyer@example.com"])
    shown = catcher.web.get(f"/api/messages/{summary['id']}").json()
    assert shown["text"].strip() == "Thank you, Zoë"
    assert shown["html"].strip() == "<p>Hello</p>"


def test_the_list_can_be_asked_for_one_recipient_newest_first(catcher: Catcher) -> None:
    for to, subject in (("a@example.com", "1"), ("b@example.com", "2"), ("a@example.com", "3")):
        catcher.send(letter(to, subject))
    assert [its["subject"] for its in catcher.messages(to="A@example.com")] == ["3", "1"]


def test_what_was_acknowledged_survives_kill_9(catcher: Catcher) -> None:
    catcher.send(letter())
    catcher.kill()
    catcher.start()
    assert [its["subject"] for its in catcher.messages()] == ["Your order"]


def test_markup_in_a_message_never_becomes_part_of_the_page(catcher: Catcher) -> None:
    catcher.send(letter(subject="<script>alert(1)</script>", html='"><script>alert(2)</script>'))
    (summary,) = catcher.messages()
    for path in ("/", f"/messages/{summary['id']}"):
        page = catcher.web.get(path)
        assert "<script>alert" not in page.text
        assert "script-src 'self'" in page.headers["content-security-policy"]
    assert 'sandbox="allow-popups' in page.text


def test_links_are_relative_so_that_a_prefix_of_the_gateway_does_not_matter(catcher: Catcher) -> None:
    catcher.send(letter())
    assert 'href="/' not in catcher.web.get("/").text


def test_one_message_or_all_can_be_deleted_and_an_unknown_one_is_a_problem(catcher: Catcher) -> None:
    for subject in "123":
        catcher.send(letter(subject=subject))
    first = catcher.messages()[0]["id"]
    assert catcher.web.delete(f"/api/messages/{first}").status_code == 204
    gone = catcher.web.get(f"/api/messages/{first}")
    assert (gone.status_code, gone.json()["code"]) == (404, "not_found")
    assert catcher.web.get("/api/messages/..%2f..%2fetc").status_code == 404
    assert catcher.web.delete("/api/messages").status_code == 204
    assert catcher.messages() == []


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path) -> None:
    store = Store(tmp_path, most=3)
    for number in range(5):
        store.add("a@example.com", ["b@example.com"], f"Subject: {number}\r\n\r\n".encode())
    assert [its["subject"] for its in store.list()] == ["4", "3", "2"]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_message_is_read_when_it_is_first_listed_and_never_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    read: list[str] = []
    summary = store._summary

    def counted(name: str, raw: bytes) -> dict:
        read.append(name)
        return summary(name, raw)

    monkeypatch.setattr(store, "_summary", counted)
    names = [store.add("shop@example.com", ["buyer@example.com"], letter().as_bytes()) for _ in range(2)]
    assert read == []
    store.delete(names[0])
    assert [its["subject"] for its in store.list()] == ["Your order"]
    assert store.list() == store.list()
    assert read == names[1:]


def test_a_broken_message_is_shown_as_well_as_it_can_be(tmp_path: Path) -> None:
    store = Store(tmp_path)
    name = store.add(
        "a@example.com", ["b@example.com"], b"Content-Type: text/plain; charset=nonsense\r\n\r\nh\xc3\xa9"
    )
    shown = store.get(name)
    assert shown is not None
    assert shown["text"].startswith("h")
