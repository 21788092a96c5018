"""What storefronts call."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cart import selectors, services
from cart.api.serializers import (
    CartSerializer,
    LineChangeSerializer,
    MoveWishSerializer,
    NewCartCouponSerializer,
    NewLineSerializer,
    NewWishSerializer,
    WishSerializer,
)
from cart.models import Cart, WishlistItem
from cart.selectors import Owner
from shared_lib.api.etags import check_if_match, etag_of
from shared_lib.api.idempotency import idempotent
from shared_lib.api.openapi import problems
from shared_lib.api.views import bearer

CART_TOKEN = OpenApiParameter(
    "X-Cart-Token",
    str,
    OpenApiParameter.HEADER,
    description="Names a guest's cart. A bearer token wins over it.",
)
IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The `ETag` of the cart that the change is meant for.",
)
NEW_CART_TOKEN = OpenApiParameter(
    "X-Cart-Token",
    str,
    OpenApiParameter.HEADER,
    response=[201],
    description="The token of a guest's cart that this call made. It is given once.",
)


def owner_of(request: Request) -> Owner:
    if request.user.is_authenticated:
        return Owner.user(bearer(request).id)
    return Owner.guest(request.headers.get("X-Cart-Token", ""))


def cart_etag(cart_id: UUID | None, version: int) -> str:
    """A cart that was never changed has the same tag as none at all: the first change makes it."""
    return etag_of(cart_id, version) if version else etag_of(0)


def if_match(request: Request) -> services.Precondition:
    return partial(_check_cart, request)


def _check_cart(request: Request, cart: Cart) -> None:
    check_if_match(request, cart_etag(cart.pk, cart.version))


def cart_response(owner: Owner, *, status: int = 200, token: str | None = None) -> Response:
    cart = selectors.show_cart(owner=owner)
    headers = {"ETag": cart_etag(cart.id, cart.version)}
    if token is not None:
        headers["X-Cart-Token"] = token
    return Response(cart, status=status, headers=headers)


class CartView(APIView):
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="cart_retrieve",
        summary="The cart of the user, or of the guest who holds the token",
        parameters=[CART_TOKEN],
        responses={200: CartSerializer, **problems(401)},
    )
    def get(self, request: Request) -> Response:
        return cart_response(owner_of(request))

    @extend_schema(
        operation_id="cart_destroy",
        summary="Empty the cart",
        parameters=[CART_TOKEN, IF_MATCH],
        responses={200: CartSerializer, **problems(401, 412)},
    )
    def delete(self, request: Request) -> Response:
        owner = owner_of(request)
        services.empty_cart(owner=owner, precondition=if_match(request))
        return cart_response(owner)


class LinesView(APIView):
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="cart_lines_create",
        summary="Put a variant into the cart; the same variant adds up",
        parameters=[CART_TOKEN, IF_MATCH, NEW_CART_TOKEN],
        request=NewLineSerializer,
        responses={201: CartSerializer, **problems(400, 401, 404, 409, 412, 415, 422, 503)},
    )
    def post(self, request: Request) -> Response:
        data = NewLineSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        services.ensure_offers(variant_ids=[data.validated_data["variant_id"]])
        response: Response = self._add(request, data.validated_data)
        return response

    @idempotent(route="cart.lines")
    def _add(self, request: Request, line: dict[str, Any]) -> Response:
        owner = owner_of(request)
        token = services.add_line(owner=owner, precondition=if_match(request), **line)
        return cart_response(Owner.guest(token) if token else owner, status=201, token=token)


class LineView(APIView):
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="cart_lines_partial_update",
        summary="Change the quantity of a line",
        parameters=[CART_TOKEN, IF_MATCH],
        request=LineChangeSerializer,
        responses={200: CartSerializer, **problems(400, 401, 404, 409, 412, 415, 422)},
    )
    def patch(self, request: Request, line_id: UUID) -> Response:
        data = LineChangeSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        owner = owner_of(request)
        services.change_line(
            owner=owner, line_id=line_id, precondition=if_match(request), **data.validated_data
        )
        return cart_response(owner)

    @extend_schema(
        operation_id="cart_lines_destroy",
        summary="Take a line out of the cart",
        parameters=[CART_TOKEN, IF_MATCH],
        responses={200: CartSerializer, **problems(401, 404, 412)},
    )
    def delete(self, request: Request, line_id: UUID) -> Response:
        owner = owner_of(request)
        services.remove_line(owner=owner, line_id=line_id, precondition=if_match(request))
        return cart_response(owner)


class CouponsView(APIView):
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="cart_coupons_create",
        summary="Put a coupon into the cart",
        description="422 `coupon_not_applicable` with `reason`: `unknown`, `stopped`, `not_started`, `expired`, "
        "`limit_reached`, `user_limit_reached`, `too_many`, `not_combinable`, `no_matching_lines`, or `minimum_not_met` "
        "(with `minimum`). A coupon that is in the cart already stays. Upper and lower case are the same.",
        parameters=[CART_TOKEN, IF_MATCH],
        request=NewCartCouponSerializer,
        responses={200: CartSerializer, **problems(400, 401, 412, 415, 422)},
    )
    def post(self, request: Request) -> Response:
        data = NewCartCouponSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        owner = owner_of(request)
        services.apply_coupon(owner=owner, precondition=if_match(request), **data.validated_data)
        return cart_response(owner)


class CouponView(APIView):
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="cart_coupons_destroy",
        summary="Take a coupon out of the cart",
        parameters=[CART_TOKEN, IF_MATCH],
        responses={200: CartSerializer, **problems(401, 404, 412)},
    )
    def delete(self, request: Request, code: str) -> Response:
        owner = owner_of(request)
        services.remove_coupon(owner=owner, code=code, precondition=if_match(request))
        return cart_response(owner)


class MergeView(APIView):
    permission_classes = [IsAuthenticated]

    @extend_schema(
        operation_id="cart_merge",
        summary="The guest's cart joins the user's",
        description="An unknown or spent token changes nothing. Quantities add up to what limits and stock allow; coupons "
        "come along as far as the user may use them.",
        parameters=[CART_TOKEN],
        request=None,
        responses={200: CartSerializer, **problems(401)},
    )
    def post(self, request: Request) -> Response:
        token = request.headers.get("X-Cart-Token", "")
        if token:
            services.merge_carts(user_id=bearer(request).id, token_hash=selectors.hash_token(token))
        return cart_response(Owner.user(bearer(request).id))


class WishlistView(generics.ListAPIView[WishlistItem]):
    permission_classes = [IsAuthenticated]
    serializer_class = WishSerializer

    def get_queryset(self) -> Any:
        return selectors.wishlist(user_id=bearer(self.request).id)

    @extend_schema(
        operation_id="cart_wishlist_list",
        summary="What the user saved for later, newest first",
        responses={200: WishSerializer(many=True), **problems(401)},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="cart_wishlist_create",
        summary="Save a variant for later; 200 if it was saved already",
        request=NewWishSerializer,
        responses={200: WishSerializer, 201: WishSerializer, **problems(400, 401, 404, 415, 422, 503)},
    )
    def post(self, request: Request) -> Response:
        data = NewWishSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        variant_id = data.validated_data["variant_id"]
        services.ensure_offers(variant_ids=[variant_id])
        response: Response = self._add(request, variant_id)
        return response

    @idempotent(route="cart.wishlist")
    def _add(self, request: Request, variant_id: UUID) -> Response:
        item_id, is_new = services.add_wish(user_id=bearer(request).id, variant_id=variant_id)
        item = self.get_queryset().get(pk=item_id)
        return Response(WishSerializer(item).data, status=201 if is_new else 200)


class WishView(APIView):
    permission_classes = [IsAuthenticated]

    @extend_schema(
        operation_id="cart_wishlist_destroy",
        summary="Take an item off the wish list",
        responses={204: None, **problems(401, 404)},
    )
    def delete(self, request: Request, item_id: UUID) -> Response:
        services.remove_wish(user_id=bearer(request).id, item_id=item_id)
        return Response(status=204)


class MoveWishView(APIView):
    permission_classes = [IsAuthenticated]

    @extend_schema(
        operation_id="cart_wishlist_move",
        summary="Put an item of the wish list into the cart",
        description="It leaves the list only if the cart takes it.",
        parameters=[IF_MATCH],
        request=MoveWishSerializer,
        responses={200: CartSerializer, **problems(400, 401, 404, 409, 412, 415, 422, 503)},
    )
    def post(self, request: Request, item_id: UUID) -> Response:
        data = MoveWishSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        user_id = bearer(request).id
        item = selectors.find_wish(user_id=user_id, item_id=item_id)
        services.ensure_offers(variant_ids=[item.variant_id])
        services.move_wish(
            user_id=user_id, item_id=item_id, precondition=if_match(request), **data.validated_data
        )
        return cart_response(Owner.user(user_id))
