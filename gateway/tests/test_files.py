"""Pictures, documentation pages, and the pages of development."""

from __future__ import annotations

import httpx
import pytest

from tests.support.problems import assert_problem
from tests.support.services import Answer, Services


def test_a_picture_is_served_with_its_type_and_may_be_cached(client: httpx.Client) -> None:
    answer = client.get("/media/products/cup.png")
    assert (answer.status_code, answer.content) == (200, b"\x89PNG picture")
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Cache-Control"] == "public, max-age=86400"
    again = client.get("/media/products/cup.png", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    part = client.get("/media/products/cup.png", headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"PNG")


FOLDERS = ["/media", "/media/", "/media/products", "/media/products/", "/media/none.png", "/media/cup.png/x"]


@pytest.mark.parametrize("path", FOLDERS)
def test_a_folder_is_never_listed_and_never_a_redirect(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert_problem(answer, 404, "not_found")
    assert answer.headers["Cache-Control"] == "no-store"


def test_what_was_uploaded_can_not_run_as_a_page(client: httpx.Client) -> None:
    answer = client.get("/media/page.html")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_a_range_beyond_the_end_is_a_problem(client: httpx.Client) -> None:
    assert_problem(
        client.get("/media/products/cup.png", headers={"Range": "bytes=999-"}), 416, "range_not_satisfiable"
    )


def test_the_documentation_is_served_where_it_exists(client: httpx.Client) -> None:
    answer = client.get("/docs")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<h1>Docs</h1>" in answer.text
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert client.get("/api/v1/openapi.json").json() == {"openapi": "3.1.0"}
    assert_problem(client.get("/events"), 404, "not_found")


@pytest.mark.parametrize(
    ("path", "service", "target"),
    [
        ("/dev/mail/", "svc-notifications", "/"),
        ("/dev/mail/api/email?x=1", "svc-notifications", "/api/email?x=1"),
        ("/dev/payments/3ds/pi_1", "svc-payments", "/3ds/pi_1"),
    ],
)
def test_in_development_the_mail_catcher_and_the_sandbox_have_their_pages(
    client: httpx.Client, services: Services, path: str, service: str, target: str
) -> None:
    services[service].answer = lambda _: Answer(
        headers={"Content-Type": "text/html"}, body=b"<script>run()</script>"
    )
    answer = client.get(path)
    assert answer.status_code == 200
    assert (services.last.service, services.last.target) == (service, target)
    assert "Content-Security-Policy" not in answer.headers
    # By this the sandbox knows that a browser asks: all but its pages is 404 then, even with its key.
    assert services.last.header("X-Forwarded-For")
    assert client.get("/dev/other").status_code == 404
