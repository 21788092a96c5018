from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SERVICE = Path(__file__).parents[1]


def load_settings(**changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "import config.settings as s; print(s.EMAIL_HOST, s.EMAIL_PORT, s.EMAIL_HOST_USER, s.EMAIL_USE_TLS, s.EMAIL_USE_SSL)",
        ],
        cwd=SERVICE,
        env={**os.environ, **changes},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("url", "meaning"),
    [
        ("smtp://mail.example.com:2525", "mail.example.com 2525 None False False"),
        ("smtp://mail.example.com", "mail.example.com 25 None False False"),
        ("submission://shop:secret@mail.example.com", "mail.example.com 587 shop True False"),
        ("smtp://shop:secret@mail.example.com:465?ssl=true", "mail.example.com 465 shop False True"),
    ],
)
def test_the_mail_server_is_read_from_one_url(url: str, meaning: str) -> None:
    assert load_settings(SMTP_URL=url).stdout.strip() == meaning


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMTP_URL", "http://mail.example.com"),
        ("SMTP_URL", "mail"),
        ("SMTP_URL", "smtp://"),
        ("EMAIL_FROM", "the shop"),
    ],
)
def test_a_setting_that_is_no_good_is_named_at_start(name: str, value: str) -> None:
    result = load_settings(**{name: value})
    assert result.returncode != 0
    assert name in result.stderr.splitlines()[-1]
