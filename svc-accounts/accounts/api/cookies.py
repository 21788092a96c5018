"""The refresh token as a cookie, for browsers: no script can read it, and it goes to the token endpoints only."""

from __future__ import annotations

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

NAME = "refresh_token"
PATH = "/api/v1/accounts/token"


def read(request: Request) -> str | None:
    return request.COOKIES.get(NAME) or None


def put(response: Response, token: str) -> None:
    response.set_cookie(
        NAME,
        token,
        max_age=settings.SESSION_SECONDS,
        path=PATH,
        secure=settings.PUBLIC_BASE_URL.startswith("https://"),
        httponly=True,
        samesite="Strict",
    )


def drop(response: Response) -> None:
    response.delete_cookie(NAME, path=PATH, samesite="Strict")
