"""Changing the password, and the way back for who forgot it."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import services
from accounts.api.serializers import EmailSerializer, PasswordChangeSerializer, PasswordResetSerializer
from accounts.api.views.base import body
from shared_lib.api.openapi import problems
from shared_lib.api.views import PublicAPIView, bearer


class PasswordForgotView(PublicAPIView):
    @extend_schema(
        operation_id="password_forgot_create",
        summary="Have a link to a new password sent",
        request=EmailSerializer,
        responses={202: OpenApiResponse(description="Always; whether there is such an account is not told.")},
    )
    def post(self, request: Request) -> Response:
        services.request_password_reset(**body(request, EmailSerializer))
        return Response(status=202)


class PasswordResetView(PublicAPIView):
    @extend_schema(
        operation_id="password_reset_create",
        summary="Set a new password by the link of the mail",
        request=PasswordResetSerializer,
        responses={204: OpenApiResponse(description="The password is set; all sessions have ended.")},
    )
    def post(self, request: Request) -> Response:
        """422 `link_invalid` for a token that is unknown, used or expired."""
        services.reset_password(**body(request, PasswordResetSerializer))
        return Response(status=204)


class PasswordChangeView(APIView):
    @extend_schema(
        operation_id="password_change_create",
        summary="Change my password",
        request=PasswordChangeSerializer,
        responses={
            204: OpenApiResponse(description="The password is set; all other sessions have ended."),
            **problems(404),
        },
    )
    def post(self, request: Request) -> Response:
        fields = body(request, PasswordChangeSerializer)
        services.change_password(user_id=bearer(request).id, session_id=bearer(request).session_id, **fields)
        return Response(status=204)
