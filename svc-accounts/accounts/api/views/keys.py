"""The public keys of access tokens."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import condition, require_safe

from accounts.keys import MAX_AGE_SECONDS, key_set


@require_safe
@condition(etag_func=lambda request: f'"{key_set().etag}"')
def jwks(request: HttpRequest) -> HttpResponse:
    """JSON Web Key Set (RFC 7517): the signing key and the ones that are coming or going."""
    return HttpResponse(
        key_set().jwks,
        content_type="application/json",
        headers={"Cache-Control": f"public, max-age={MAX_AGE_SECONDS}"},
    )
