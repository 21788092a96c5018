"""Endpoints of the sample service."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from sample.models import Note

from shared_lib.api.etags import check_if_match, etag_of
from shared_lib.api.fields import MoneyField
from shared_lib.api.idempotency import idempotent
from shared_lib.api.internal import InternalAPIView
from shared_lib.api.pagination import NumberedPagination
from shared_lib.api.permissions import IsStaff
from shared_lib.api.serializers import AddressSerializer
from shared_lib.contracts.internal.payments import RefundRequest
from shared_lib.exceptions import DomainError


class NoteSerializer(serializers.ModelSerializer[Note]):
    class Meta:
        model = Note
        fields = ("id", "text", "version", "created_at")


class LineSerializer(serializers.Serializer[Any]):
    quantity = serializers.IntegerField(min_value=1)
    price = MoneyField()


class ParcelSerializer(serializers.Serializer[Any]):
    address = AddressSerializer()
    lines = LineSerializer(many=True)


class NotesView(ListAPIView[Note]):
    serializer_class = NoteSerializer
    queryset = Note.objects.all()

    @idempotent(route="notes.create")
    def post(self, request: Request) -> Response:
        serializer = NoteSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        note = serializer.save()
        if note.text == "refuse":
            raise DomainError("No such note.", reason="word")
        return Response(NoteSerializer(note).data, status=201)


class StaffNotesView(ListAPIView[Note]):
    permission_classes = [IsStaff]
    pagination_class = NumberedPagination
    serializer_class = NoteSerializer
    queryset = Note.objects.order_by("created_at")


class NoteView(APIView):
    permission_classes = [AllowAny]

    def patch(self, request: Request) -> Response:
        check_if_match(request, etag_of("note", 2))
        return Response({"who": str(request.user)})


class ParcelView(APIView):
    def post(self, request: Request) -> Response:
        serializer = ParcelSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        address = AddressSerializer.to_address(serializer.validated_data["address"])
        return Response({"address": address, "price": serializer.data["lines"][0]["price"]})


class CrashView(APIView):
    authentication_classes = []
    permission_classes = [AllowAny]

    def get(self, request: Request) -> Response:
        raise RuntimeError("the secret inside")


class InternalRefundView(InternalAPIView):
    callers = frozenset({"svc-orders"})

    def post(self, request: Request) -> Response:
        return self.write(self.read(request, RefundRequest), status=201)
