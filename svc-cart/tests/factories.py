"""Rows of the read model, as events would have made them."""

from __future__ import annotations

from factory.declarations import LazyAttribute, LazyFunction, RelatedFactory, Sequence, SubFactory
from factory.django import DjangoModelFactory

from cart.models import AppliedCoupon, Cart, CartLine, Coupon, CouponKind, Product, Stock, Variant
from shared_lib.models import uuid7


class ProductFactory(DjangoModelFactory[Product]):
    class Meta:
        model = Product

    id = LazyFunction(uuid7)
    version = 1
    slug = Sequence(lambda number: f"product-{number}")
    name = Sequence(lambda number: f"Product {number}")
    category = "lamps"
    thumbnail = "/media/lamp.webp"


class StockFactory(DjangoModelFactory[Stock]):
    class Meta:
        model = Stock

    available = 50
    version = 1


class VariantFactory(DjangoModelFactory[Variant]):
    """`VariantFactory(stock__available=3)`; `stock=None` for one whose stock is not known."""

    class Meta:
        model = Variant
        skip_postgeneration_save = True

    id = LazyFunction(uuid7)
    product = SubFactory(ProductFactory)
    price_amount = 1999
    currency = "USD"
    stock = RelatedFactory(StockFactory, "variant")


class CartFactory(DjangoModelFactory[Cart]):
    class Meta:
        model = Cart

    user_id = LazyFunction(uuid7)


class LineFactory(DjangoModelFactory[CartLine]):
    class Meta:
        model = CartLine

    cart = SubFactory(CartFactory)
    variant = SubFactory(VariantFactory)
    quantity = 1
    seen_amount = LazyAttribute(lambda line: line.variant.price_amount)


class CouponFactory(DjangoModelFactory[Coupon]):
    """10 % off everything, without any limit."""

    class Meta:
        model = Coupon

    code = Sequence(lambda number: f"COUPON-{number}")
    kind = CouponKind.PERCENT
    basis_points = LazyAttribute(lambda coupon: 1000 if coupon.kind == CouponKind.PERCENT else 0)
    fixed_amount = LazyAttribute(lambda coupon: 500 if coupon.kind == CouponKind.FIXED else 0)
    category_slugs = LazyAttribute(lambda coupon: list(coupon.categories))
    categories = LazyFunction(list)
    currency = "USD"


class AppliedCouponFactory(DjangoModelFactory[AppliedCoupon]):
    class Meta:
        model = AppliedCoupon

    cart = SubFactory(CartFactory)
    coupon = SubFactory(CouponFactory)
