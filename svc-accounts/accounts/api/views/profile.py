"""Registration, the own profile, and the proof of the address."""

from __future__ import annotations

from typing import Any

from django.utils.translation import get_language
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import selectors, services
from accounts.api.serializers import (
    EmailSerializer,
    LinkTokenSerializer,
    ProfileSerializer,
    RegisteredSerializer,
    RegistrationSerializer,
)
from accounts.api.views.base import body
from accounts.models import Language
from shared_lib.api.etags import check_if_match, etag_of
from shared_lib.api.openapi import problems
from shared_lib.api.views import PublicAPIView, bearer


class RegisterView(PublicAPIView):
    @extend_schema(
        operation_id="register_create",
        summary="Register",
        request=RegistrationSerializer,
        responses={201: RegisteredSerializer},
    )
    def post(self, request: Request) -> Response:
        """A new account, which can sign in at once.

        The answer is the same for an address in use: nothing changes, and its owner is told by e-mail. The language of
        messages is taken from `Accept-Language`.
        """
        fields = body(request, RegistrationSerializer)
        services.register(**fields, language=_language())
        return Response({"email": fields["email"], "status": "pending_verification"}, status=201)


def _language() -> str:
    """The language that the client asked for, as far as we speak it."""
    primary = (get_language() or "").partition("-")[0]
    return primary if primary in Language.values else Language.ENGLISH


class MeView(APIView):
    @extend_schema(
        operation_id="me_retrieve", summary="My profile", responses={200: ProfileSerializer, **problems(404)}
    )
    def get(self, request: Request) -> Response:
        return _profile(selectors.get_profile(user_id=bearer(request).id))

    @extend_schema(
        operation_id="me_partial_update",
        summary="Change my name or language",
        request=ProfileSerializer,
        responses={200: ProfileSerializer, **problems(404, 412)},
    )
    def patch(self, request: Request) -> Response:
        """Honours `If-Match`. Read-only fields are ignored."""
        changes = body(request, ProfileSerializer, partial=True)
        user = services.update_profile(
            user_id=bearer(request).id,
            changes=changes,
            precondition=lambda user: check_if_match(request, etag_of(user.pk, user.version)),
        )
        return _profile({field: getattr(user, field) for field in selectors.PROFILE_FIELDS})


def _profile(fields: dict[str, Any]) -> Response:
    version = fields.pop("version")
    return Response(fields, headers={"ETag": etag_of(fields["id"], version)})


class EmailVerifyView(PublicAPIView):
    @extend_schema(
        operation_id="email_verify_create",
        summary="Prove the e-mail address",
        request=LinkTokenSerializer,
        responses={204: OpenApiResponse(description="The address is verified.")},
    )
    def post(self, request: Request) -> Response:
        """Ends every session opened before. 422 `link_invalid` for a token that is unknown or has expired."""
        services.verify_email(**body(request, LinkTokenSerializer))
        return Response(status=204)


class EmailVerifyResendView(PublicAPIView):
    @extend_schema(
        operation_id="email_verify_resend_create",
        summary="Have the verification mail sent again",
        request=EmailSerializer,
        responses={202: OpenApiResponse(description="Always; whether there is such an account is not told.")},
    )
    def post(self, request: Request) -> Response:
        services.request_verification(**body(request, EmailSerializer))
        return Response(status=202)
