"""What views of every service begin with."""

from __future__ import annotations

from typing import cast

from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from shared_lib.auth.users import TokenUser


class PublicAPIView(APIView):
    """Route mode `public`: a token is not even looked at."""

    authentication_classes = []
    permission_classes = [AllowAny]


def bearer(request: Request) -> TokenUser:
    """Who sent the access token of a `required` route."""
    return cast("TokenUser", request.user)
