"""The address book."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import selectors, services
from accounts.api.serializers import AddressBookEntrySerializer
from accounts.api.views.base import body
from accounts.models import Address
from shared_lib.api.etags import check_if_match, etag_of
from shared_lib.api.idempotency import idempotent
from shared_lib.api.openapi import problems
from shared_lib.api.views import bearer


def _entry(address: Address, status: int = 200) -> Response:
    return Response(AddressBookEntrySerializer(address).data, status=status, headers={"ETag": _etag(address)})


def _etag(address: Address) -> str:
    return etag_of(address.pk, address.version)


class AddressesView(GenericAPIView[Address]):
    serializer_class = AddressBookEntrySerializer
    queryset = Address.objects.none()

    @extend_schema(operation_id="me_addresses_list", summary="My address book, newest first")
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(selectors.list_addresses(user_id=bearer(request).id))
        return self.get_paginated_response(AddressBookEntrySerializer(page, many=True).data)

    @extend_schema(
        operation_id="me_addresses_create",
        summary="Add an address",
        request=AddressBookEntrySerializer,
        responses={201: AddressBookEntrySerializer, **problems(404, 409)},
    )
    @idempotent(route="me_addresses_create")
    def post(self, request: Request) -> Response:
        """409 `address_book_full` beyond 50 addresses. Honours `Idempotency-Key`."""
        fields = body(request, AddressBookEntrySerializer)
        is_default = fields.pop("is_default", False)
        return _entry(
            services.add_address(user_id=bearer(request).id, fields=fields, is_default=is_default), 201
        )


class AddressView(APIView):
    @extend_schema(
        operation_id="me_addresses_retrieve",
        summary="One address",
        responses={200: AddressBookEntrySerializer, **problems(404)},
    )
    def get(self, request: Request, address_id: UUID) -> Response:
        return _entry(selectors.get_address(user_id=bearer(request).id, address_id=address_id))

    @extend_schema(
        operation_id="me_addresses_partial_update",
        summary="Change an address, or make it the default",
        request=AddressBookEntrySerializer,
        responses={200: AddressBookEntrySerializer, **problems(404, 412)},
    )
    def patch(self, request: Request, address_id: UUID) -> Response:
        """Honours `If-Match`. The default is moved by making another address the default, not by unsetting it."""
        address = services.change_address(
            user_id=bearer(request).id,
            address_id=address_id,
            changes=body(request, AddressBookEntrySerializer, partial=True),
            precondition=lambda address: check_if_match(request, _etag(address)),
        )
        return _entry(address)

    @extend_schema(
        operation_id="me_addresses_destroy",
        summary="Remove an address",
        responses={
            204: OpenApiResponse(description="Gone. The newest of the others takes the place of a default."),
            **problems(404, 412),
        },
    )
    def delete(self, request: Request, address_id: UUID) -> Response:
        """Honours `If-Match`."""
        services.remove_address(
            user_id=bearer(request).id,
            address_id=address_id,
            precondition=lambda address: check_if_match(request, _etag(address)),
        )
        return Response(status=204)
