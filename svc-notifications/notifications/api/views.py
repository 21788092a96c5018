"""What storefronts call."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils.translation import get_language
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from notifications import selectors, services
from notifications.api.serializers import InboxQuerySerializer, NotificationSerializer
from notifications.models import Notification
from shared_lib.api.openapi import problems
from shared_lib.api.views import bearer


class InboxView(generics.ListAPIView[Notification]):
    permission_classes = [IsAuthenticated]
    serializer_class = NotificationSerializer

    def get_queryset(self) -> Any:
        query = InboxQuerySerializer(data=self.request.query_params)
        query.is_valid(raise_exception=True)
        return selectors.inbox(user_id=bearer(self.request).id, unread_only=query.validated_data["unread"])

    def get_serializer_context(self) -> dict[str, Any]:
        return {"language": get_language()}

    @extend_schema(
        operation_id="notifications_list",
        summary="The user's inbox, newest first",
        parameters=[InboxQuerySerializer],
        responses={200: NotificationSerializer(many=True), **problems(401, 422)},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class ReadView(APIView):
    permission_classes = [IsAuthenticated]

    @extend_schema(
        operation_id="notifications_read",
        summary="Mark one as read; again changes nothing",
        request=None,
        responses={200: NotificationSerializer, **problems(401, 404)},
    )
    def post(self, request: Request, notification_id: UUID) -> Response:
        entry = services.mark_read(user_id=bearer(request).id, notification_id=notification_id)
        return Response(NotificationSerializer(entry, context={"language": get_language()}).data)


class ReadAllView(APIView):
    permission_classes = [IsAuthenticated]

    @extend_schema(
        operation_id="notifications_read_all",
        summary="Mark all as read",
        request=None,
        responses={204: None, **problems(401)},
    )
    def post(self, request: Request) -> Response:
        services.mark_all_read(user_id=bearer(request).id)
        return Response(status=204)
