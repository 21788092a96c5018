"""What `auth_request` asks in the benchmark: the least that Django can do to verify an access token."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jwt
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

settings.configure(SECRET_KEY=os.urandom(20).hex(), ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, MIDDLEWARE=[])

KEY = Path(os.environ.get("BENCH_PUBLIC_KEY", "/dev/null")).read_bytes()
OPTIONS: Any = {"require": ["exp", "iat", "sub", "sid"]}


def verify(request: HttpRequest) -> HttpResponse:
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    try:
        jwt.decode(token, KEY, algorithms=["ES256"], issuer="svc-accounts", audience="shop", options=OPTIONS)
    except jwt.InvalidTokenError:
        return HttpResponse(status=401)
    return HttpResponse(status=204)


urlpatterns = [path("verify", verify)]
application = get_wsgi_application()
