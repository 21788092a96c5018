"""What other services may ask, as `shared_lib.contracts.internal.accounts` has it."""

from __future__ import annotations

from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from accounts import selectors, services
from accounts.models import LinkPurpose
from shared_lib.api.internal import InternalAPIView
from shared_lib.contracts.internal.accounts import OneTimeLink, OneTimeLinkRequest


class UserView(InternalAPIView):
    callers = frozenset({"svc-orders", "svc-notifications"})

    def get(self, request: Request, user_id: UUID) -> Response:
        return self.write(selectors.get_user_for_services(user_id=user_id))


class UserAddressView(InternalAPIView):
    callers = frozenset({"svc-orders"})

    def get(self, request: Request, user_id: UUID, address_id: UUID) -> Response:
        return self.write(selectors.get_address_for_services(user_id=user_id, address_id=address_id))


class OneTimeLinksView(InternalAPIView):
    callers = frozenset({"svc-notifications"})

    def post(self, request: Request) -> Response:
        wanted = self.read(request, OneTimeLinkRequest)
        link = services.create_one_time_link(user_id=wanted.user_id, purpose=LinkPurpose(wanted.purpose))
        return self.write(OneTimeLink(url=link.url, expires_at=link.expires_at), status=201)
