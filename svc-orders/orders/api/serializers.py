"""What comes in is checked here; the serializers of what goes out describe it for the API's documentation."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from orders.models import (
    FulfillmentStatus,
    OrderStatus,
    PaymentState,
    PaymentStatus,
    RefundStatus,
    ReturnStatus,
)
from orders.services import CheckoutRequest
from shared_lib.api.fields import CountryField, MoneyField
from shared_lib.api.serializers import AddressSerializer, ProblemSerializer

# What is never shown is no choice: the hidden draft, the payment that is only being made.
ORDER_STATUS_CHOICES = [choice for choice in OrderStatus.choices if choice[0] != OrderStatus.DRAFT]
PAYMENT_STATE_CHOICES = [choice for choice in PaymentState.choices if choice[0] != PaymentState.CREATING]


class QuoteRequestSerializer(serializers.Serializer[Any]):
    """Where to and how. Exactly one of `shipping_address` and `address_id` (of the buyer's address book)."""

    shipping_address = AddressSerializer(required=False)
    address_id = serializers.UUIDField(required=False)
    shipping_method = serializers.CharField(
        max_length=40, help_text="A code of `GET /orders/shipping-methods`."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("shipping_address" in attrs) == ("address_id" in attrs):
            raise serializers.ValidationError(
                {"shipping_address": "Send either shipping_address or address_id."}, code="one_address"
            )
        return attrs

    def to_request(self) -> CheckoutRequest:
        """The validated data as the services take it."""
        values = dict(self.validated_data)
        address = values.pop("shipping_address", None)
        address_id = values.pop("address_id", None)
        return CheckoutRequest(
            destination=address_id if address is None else AddressSerializer.to_address(address), **values
        )


class CheckoutSerializer(QuoteRequestSerializer):
    """`cart_version` and `expected_total` are what the buyer looked at: if they are sent and differ, nothing is ordered."""

    payment_provider = serializers.RegexField(
        r"^[a-z][a-z0-9_-]{0,39}\Z",
        required=False,
        allow_null=True,
        help_text="By default the shop's own choice.",
    )
    cart_version = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=2**53 - 1)
    expected_total = MoneyField(required=False, allow_null=True)


class NewPaymentSerializer(serializers.Serializer[Any]):
    payment_provider = serializers.RegexField(r"^[a-z][a-z0-9_-]{0,39}\Z", required=False, allow_null=True)


class LineQuantitySerializer(serializers.Serializer[Any]):
    variant_id = serializers.UUIDField()
    quantity = serializers.IntegerField(min_value=1, max_value=2**31 - 1)


class LinesField(serializers.ListField):
    """`[{variant_id, quantity}]` as a mapping; each variant at most once."""

    child = LineQuantitySerializer()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_empty=False, max_length=100, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        lines = super().to_internal_value(data)
        quantities = {line["variant_id"]: line["quantity"] for line in lines}
        if len(quantities) < len(lines):
            raise serializers.ValidationError("A variant stands here twice.", code="duplicate")
        return quantities


class ShipSerializer(serializers.Serializer[Any]):
    carrier = serializers.CharField(max_length=80)
    tracking_number = serializers.CharField(max_length=120)
    lines = LinesField(
        required=False, help_text="What is in the parcel; by default all that is left (a seller's own)."
    )


class RefundRequestSerializer(serializers.Serializer[Any]):
    """`lines` or `amount` or neither: all that is left."""

    lines = LinesField(required=False)
    amount = MoneyField(required=False)
    reason = serializers.CharField(required=False, max_length=500, help_text="Kept with the refund.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "lines" in attrs and "amount" in attrs:
            raise serializers.ValidationError(
                {"amount": "Send lines or amount, not both."}, code="lines_or_amount"
            )
        if "amount" in attrs and attrs["amount"].amount < 1:
            raise serializers.ValidationError({"amount": "It must be more than nothing."}, code="min_value")
        return attrs


class ReturnRequestSerializer(serializers.Serializer[Any]):
    lines = LinesField()
    reason = serializers.CharField(max_length=500)


class RejectSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=500, help_text="For the buyer to read.")


class ReceiveSerializer(serializers.Serializer[Any]):
    restock = serializers.BooleanField(default=True, help_text="False: it cannot be sold again.")


class ShippingQuerySerializer(serializers.Serializer[Any]):
    """Without weight and value: what a small parcel costs."""

    country = CountryField()
    weight_grams = serializers.IntegerField(required=False, min_value=0, max_value=2**31 - 1)
    subtotal = serializers.IntegerField(
        required=False, min_value=0, max_value=2**53 - 1, help_text="What the goods cost, in minor units."
    )


class OrderFilterSerializer(serializers.Serializer[Any]):
    """Filters of the list of staff and sellers."""

    status = serializers.ChoiceField(ORDER_STATUS_CHOICES, required=False)
    payment_status = serializers.ChoiceField(PaymentStatus.choices, required=False)
    fulfillment_status = serializers.ChoiceField(FulfillmentStatus.choices, required=False)
    number = serializers.CharField(required=False, max_length=20)
    user_id = serializers.UUIDField(required=False)
    seller_id = serializers.UUIDField(required=False, help_text="With lines of this seller.")
    refund_status = serializers.ChoiceField(
        RefundStatus.choices,
        required=False,
        help_text="With such a refund; `failed` is for people to look at.",
    )
    return_status = serializers.ChoiceField(
        ReturnStatus.choices, required=False, help_text="With such a return."
    )
    created_from = serializers.DateTimeField(required=False, help_text="From this moment on.")
    created_to = serializers.DateTimeField(required=False, help_text="Before this moment.")

    def to_filters(self) -> dict[str, Any]:
        """As `selectors.orders_for` takes them."""
        names = {"created_from": "created_at__gte", "created_to": "created_at__lt"}
        return {names.get(name, name): value for name, value in self.validated_data.items()}


class ShippingMethodSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    name = serializers.CharField()
    price = MoneyField()
    min_days = serializers.IntegerField()
    max_days = serializers.IntegerField()


class ShippingMethodListSerializer(serializers.Serializer[Any]):
    results = ShippingMethodSerializer(many=True)


class LineSerializer(serializers.Serializer[Any]):
    variant_id = serializers.UUIDField()
    sku = serializers.CharField()
    name = serializers.CharField()
    quantity = serializers.IntegerField()
    unit_price = MoneyField()
    line_total = MoneyField(help_text="Quantity times unit price, before the discount.")
    discount = MoneyField(help_text="What the coupons take of this line.")


class TotalsSerializer(serializers.Serializer[Any]):
    """`total = subtotal - discount + shipping + tax`; `tax_included` is inside the prices and adds nothing.

    `discount` is what coupons take of the lines; a coupon for free shipping makes `shipping` 0.
    """

    subtotal = MoneyField()
    discount = MoneyField()
    shipping = MoneyField()
    tax = MoneyField()
    tax_included = MoneyField()
    total = MoneyField()


class QuoteSerializer(TotalsSerializer):
    lines = LineSerializer(many=True)
    coupon_codes = serializers.ListField(
        child=serializers.CharField(), help_text="Those that take something."
    )
    cart_version = serializers.IntegerField(help_text="Can be sent with `POST /orders`.")


class PaymentActionSerializer(serializers.Serializer[Any]):
    type = serializers.ChoiceField(["redirect"])
    url = serializers.URLField()


class OrderPaymentSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    status = serializers.ChoiceField(PAYMENT_STATE_CHOICES)
    action = PaymentActionSerializer(allow_null=True)


class HistorySerializer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(ORDER_STATUS_CHOICES)
    at = serializers.DateTimeField()
    reason = serializers.CharField(allow_null=True)


class ParcelLineSerializer(serializers.Serializer[Any]):
    variant_id = serializers.UUIDField()
    quantity = serializers.IntegerField()


class ShipmentSerializer(serializers.Serializer[Any]):
    carrier = serializers.CharField()
    tracking_number = serializers.CharField()
    shipped_at = serializers.DateTimeField()
    delivered_at = serializers.DateTimeField(allow_null=True)
    lines = ParcelLineSerializer(many=True)


class OrderSerializer(TotalsSerializer):
    id = serializers.UUIDField()
    number = serializers.CharField()
    status = serializers.ChoiceField(ORDER_STATUS_CHOICES)
    payment_status = serializers.ChoiceField(PaymentStatus.choices)
    fulfillment_status = serializers.ChoiceField(FulfillmentStatus.choices)
    lines = LineSerializer(many=True)
    shipping_address = AddressSerializer()
    payment = OrderPaymentSerializer(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    history = HistorySerializer(many=True)
    coupon_codes = serializers.ListField(
        child=serializers.CharField(), help_text="Those that took something."
    )
    shipments = ShipmentSerializer(many=True)


class RefundLineSerializer(serializers.Serializer[Any]):
    variant_id = serializers.UUIDField()
    quantity = serializers.IntegerField()
    amount = MoneyField()


class RefundSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    order_id = serializers.UUIDField()
    status = serializers.ChoiceField(RefundStatus.choices)
    amount = MoneyField()
    lines = RefundLineSerializer(many=True)
    reason = serializers.CharField(
        help_text="Why the shop sends it back: `staff`, `returned`, `order_cancelled`..."
    )
    remark = serializers.CharField(allow_null=True, help_text="What whoever asked for it wrote.")
    requested_by = serializers.UUIDField(allow_null=True)
    error = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()


class ReturnLineSerializer(serializers.Serializer[Any]):
    variant_id = serializers.UUIDField()
    name = serializers.CharField()
    quantity = serializers.IntegerField()


class ReturnRefundSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    status = serializers.ChoiceField(RefundStatus.choices)
    amount = MoneyField()


class ReturnSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    order_id = serializers.UUIDField()
    status = serializers.ChoiceField(ReturnStatus.choices)
    reason = serializers.CharField()
    lines = ReturnLineSerializer(many=True)
    refund = ReturnRefundSerializer(allow_null=True)
    created_at = serializers.DateTimeField()
    approved_at = serializers.DateTimeField(allow_null=True)
    received_at = serializers.DateTimeField(allow_null=True)
    rejected_at = serializers.DateTimeField(allow_null=True)
    rejection_reason = serializers.CharField(allow_null=True, help_text="Why the shop does not take it back.")


class StaffLineSerializer(LineSerializer):
    seller_id = serializers.UUIDField()
    shipped_quantity = serializers.IntegerField()


class StaffHistorySerializer(HistorySerializer):
    who = serializers.UUIDField(allow_null=True, help_text="Null: the shop itself.")


class StaffOrderSerializer(serializers.Serializer[Any]):
    """Sellers get the members that are always there, with their own lines and parcels only."""

    id = serializers.UUIDField()
    number = serializers.CharField()
    status = serializers.ChoiceField(ORDER_STATUS_CHOICES)
    payment_status = serializers.ChoiceField(PaymentStatus.choices, required=False)
    fulfillment_status = serializers.ChoiceField(FulfillmentStatus.choices)
    lines = StaffLineSerializer(many=True)
    subtotal = MoneyField(required=False)
    discount = MoneyField(required=False)
    shipping = MoneyField(required=False)
    tax = MoneyField(required=False)
    tax_included = MoneyField(required=False)
    total = MoneyField(required=False)
    shipping_address = AddressSerializer()
    payment = OrderPaymentSerializer(allow_null=True, required=False)
    expires_at = serializers.DateTimeField(allow_null=True, required=False)
    created_at = serializers.DateTimeField()
    history = StaffHistorySerializer(many=True, required=False)
    coupon_codes = serializers.ListField(child=serializers.CharField(), required=False)
    shipments = ShipmentSerializer(many=True)
    user_id = serializers.UUIDField(required=False)
    shipping_method = serializers.CharField()
    refunds = RefundSerializer(many=True, required=False)
    returns = ReturnSerializer(many=True, required=False)


class PaymentSerializer(OrderPaymentSerializer):
    order_id = serializers.UUIDField()
    amount = MoneyField()
    refunded = MoneyField()
    provider = serializers.CharField()


class ShortageSerializer(serializers.Serializer[Any]):
    variant_id = serializers.UUIDField()
    requested = serializers.IntegerField()
    available = serializers.IntegerField()


class CheckoutConflictSerializer(ProblemSerializer):
    """409 of a checkout. Which members there are beside those of every problem depends on `code`.

    `out_of_stock`: `lines`. `price_changed`: the six totals. `cart_changed`: `cart_version`. `payment_in_progress`:
    `order_id`. `idempotency_in_progress` and `checkout_in_progress` have none.
    """

    lines = ShortageSerializer(many=True, required=False)
    cart_version = serializers.IntegerField(required=False)
    order_id = serializers.UUIDField(required=False)
    subtotal = MoneyField(required=False)
    discount = MoneyField(required=False)
    shipping = MoneyField(required=False)
    tax = MoneyField(required=False)
    tax_included = MoneyField(required=False)
    total = MoneyField(required=False)


class CouponProblemSerializer(ProblemSerializer):
    """422 of a checkout. `coupon_not_applicable` has the coupon's code and why it cannot be used."""

    coupon = serializers.CharField(required=False)
    reason = serializers.CharField(required=False)
