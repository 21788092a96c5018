"""Where I am signed in."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import selectors, services
from accounts.api.serializers import SessionSerializer
from accounts.models import Session
from shared_lib.api.openapi import problems
from shared_lib.api.views import bearer


class SessionsView(GenericAPIView[Session]):
    serializer_class = SessionSerializer
    queryset = Session.objects.none()

    @extend_schema(operation_id="me_sessions_list", summary="My sessions, newest first")
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(selectors.list_sessions(user_id=bearer(request).id))
        context = {"session_id": bearer(request).session_id}
        return self.get_paginated_response(SessionSerializer(page, many=True, context=context).data)


class SessionView(APIView):
    @extend_schema(
        operation_id="me_sessions_destroy",
        summary="Sign out one of my devices",
        responses={204: OpenApiResponse(description="The session has ended."), **problems(404)},
    )
    def delete(self, request: Request, session_id: UUID) -> Response:
        """Its access tokens stop working at the gateway within 5 seconds."""
        services.end_session(user_id=bearer(request).id, session_id=session_id)
        return Response(status=204)
