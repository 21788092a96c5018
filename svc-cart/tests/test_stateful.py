"""Random sequences over one buyer's cart, checked after each step against a model of a few lines.

SHOP_SEQUENCES says how many sequences are played; each has up to 30 steps.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cart import services
from cart.discounts import Part, apply
from cart.exceptions import (
    CouponNotApplicable,
    CouponNotFound,
    CouponUseClosed,
    CouponUseRefused,
    InsufficientStock,
    LineNotFound,
    VariantNotFound,
)
from cart.models import (
    MAX_COUPONS,
    MAX_LINE_QUANTITY,
    Cart,
    Coupon,
    CouponKind,
    CouponUse,
    Product,
    Stock,
    Variant,
)
from cart.selectors import Owner, ShownCart, cart_snapshot, hash_token, rule_of, show_cart
from cart.selectors.coupons import coupons_in_carts
from shared_lib.contracts.events import StockChanged
from shared_lib.contracts.internal.cart import CartCoupon
from shared_lib.exceptions import InvalidValue
from shared_lib.models import uuid7
from shared_lib.money import divide_half_up, spread
from shared_lib.testing.sequences import REPEATABLE, sequences
from tests.factories import CouponFactory, ProductFactory, VariantFactory

EXAMPLES = sequences(10)
STEPS = 30

QUANTITIES = st.integers(1, MAX_LINE_QUANTITY)
PRICES = st.integers(0, 10**6)

COUPONS: dict[str, dict[str, Any]] = {
    "TENTH": {"user_limit": 2},
    "THIRD": {"basis_points": 3333, "minimum_amount": 5000},
    "FIVE": {"kind": CouponKind.FIXED, "total_limit": 2},
    "LAMPS": {"kind": CouponKind.FIXED, "fixed_amount": 10**5, "categories": ["lamps"]},
    "ALONE": {"basis_points": 5000, "exclusive": True},
    "PICKY": {"basis_points": 1000, "stackable_with": ["TENTH"]},
    "SHIP": {"kind": CouponKind.FREE_SHIPPING, "minimum_amount": 10**4, "user_limit": 1},
}


@dataclass
class Order:
    """What svc-orders keeps of a checkout."""

    lines: dict[UUID, int]
    cart_id: UUID
    asked: list[str]
    used: set[str] = field(default_factory=set)
    status: str = "unpaid"


def charged(coupons: list[CartCoupon], lines: list[tuple[UUID, int]]) -> int:
    """The discount as svc-orders makes it out of a snapshot: written apart, from the contract's own words."""
    costs = [total for _, total in lines]
    left = list(costs)
    for coupon in coupons:
        mine = [
            index
            for index, (variant_id, _) in enumerate(lines)
            if coupon.variant_ids is None or variant_id in coupon.variant_ids
        ]
        if not mine or sum(costs[index] for index in mine) < (coupon.minimum.amount if coupon.minimum else 0):
            continue
        whole = sum(left[index] for index in mine)
        taken = {
            "percent": divide_half_up(whole * coupon.basis_points, 10_000),
            "fixed": min(coupon.amount.amount if coupon.amount else 0, whole),
            "free_shipping": 0,
        }[coupon.kind]
        for index, share in zip(mine, spread(taken, [left[index] for index in mine]), strict=True):
            left[index] -= share
    return sum(costs) - sum(left)


class CartMachine(RuleBasedStateMachine):
    """One user, the same person as a guest now and then, five variants, seven coupons, and orders of the cart."""

    orders: Bundle[UUID] = Bundle("orders")
    played: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.played["sequences"] += 1
        self._transaction = transaction.atomic()
        self._transaction.__enter__()
        self.user_id = uuid7()
        self.owner = Owner.user(self.user_id)
        self.token: str | None = None
        self.version = 0
        self.cart: ShownCart | None = None
        self.placed: dict[UUID, Order] = {}

    @initialize(
        prices=st.lists(PRICES, min_size=5, max_size=5),
        stock=st.lists(st.integers(0, 150), min_size=5, max_size=5),
    )
    def open_shop(self, prices: list[int], stock: list[int]) -> None:
        self.variants = [
            VariantFactory.create(
                product=ProductFactory.create(category="lamps" if number % 2 else "sofas"),
                price_amount=price,
                stock__available=available,
            ).pk
            for number, (price, available) in enumerate(zip(prices, stock, strict=True))
        ]
        for code, values in COUPONS.items():
            CouponFactory.create(code=code, **values)

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self._transaction.__exit__(None, None, None)

    # The buyer

    def _as(self, guest: bool) -> Owner:
        return Owner.guest(self.token or "") if guest else self.owner

    @rule(guest=st.booleans(), number=st.integers(0, 4), quantity=QUANTITIES)
    def add(self, guest: bool, number: int, quantity: int) -> None:
        variant_id = self.variants[number]
        owner = self._as(guest)
        before = self._quantities(owner).get(variant_id, 0)
        offer = Variant.objects.select_related("product", "stock").get(pk=variant_id)
        is_sold, available = offer.sold and not offer.product.archived, max(offer.stock.available, 0)
        try:
            self.token = (
                services.add_line(owner=owner, variant_id=variant_id, quantity=quantity) or self.token
            )
        except VariantNotFound:
            assert not is_sold
        except InvalidValue:
            assert before + quantity > MAX_LINE_QUANTITY
        except InsufficientStock:
            assert before + quantity > available
        else:
            assert is_sold
            assert self._quantities(self._as(guest))[variant_id] == before + quantity <= available

    @rule(guest=st.booleans(), number=st.integers(0, 4), quantity=QUANTITIES)
    def change(self, guest: bool, number: int, quantity: int) -> None:
        owner = self._as(guest)
        lines = show_cart(owner=owner).lines
        if number >= len(lines):
            with pytest.raises(LineNotFound):
                services.change_line(owner=owner, line_id=uuid7(), quantity=quantity)
            return
        line = lines[number]
        try:
            services.change_line(owner=owner, line_id=line.id, quantity=quantity)
        except InsufficientStock:
            assert quantity > line.available
        else:
            assert self._quantities(owner)[line.variant_id] == quantity <= line.available

    @rule(guest=st.booleans(), number=st.integers(0, 4))
    def remove(self, guest: bool, number: int) -> None:
        owner = self._as(guest)
        lines = show_cart(owner=owner).lines
        if number < len(lines):
            services.remove_line(owner=owner, line_id=lines[number].id)
            assert lines[number].variant_id not in self._quantities(owner)

    @rule(guest=st.booleans())
    def empty(self, guest: bool) -> None:
        services.empty_cart(owner=self._as(guest))
        cart = show_cart(owner=self._as(guest))
        assert (cart.lines, cart.coupons) == ([], [])

    @rule(guest=st.booleans(), code=st.sampled_from([*COUPONS, "NOSUCH"]))
    def put_coupon_in(self, guest: bool, code: str) -> None:
        owner = self._as(guest)
        before = {coupon.code for coupon in show_cart(owner=owner).coupons}
        try:
            services.apply_coupon(owner=owner, code=code.lower())
        except CouponNotApplicable:
            assert code not in before
            assert {coupon.code for coupon in show_cart(owner=owner).coupons} == before
        else:
            after = show_cart(owner=owner)
            assert {coupon.code for coupon in after.coupons} == before | {code}
            if code not in before:
                assert [each.applied for each in after.coupons if each.code == code] == [True]

    @rule(guest=st.booleans(), code=st.sampled_from([*COUPONS]))
    def take_coupon_out(self, guest: bool, code: str) -> None:
        owner = self._as(guest)
        before = [coupon.code for coupon in show_cart(owner=owner).coupons]
        try:
            services.remove_coupon(owner=owner, code=code)
        except CouponNotFound:
            assert code not in before
        after = [coupon.code for coupon in show_cart(owner=owner).coupons]
        assert after == [each for each in before if each != code]

    @precondition(lambda self: self.token is not None)
    @rule()
    def sign_in(self) -> None:
        guest, mine = show_cart(owner=self._as(True)), show_cart(owner=self.owner)
        services.merge_carts(user_id=self.user_id, token_hash=hash_token(self.token or ""))
        merged = show_cart(owner=self.owner)
        had, brought = ({line.variant_id: line for line in cart.lines} for cart in (mine, guest))
        for line in merged.lines:
            own, theirs = had.get(line.variant_id), brought.get(line.variant_id)
            most = (own.quantity if own else 0) + (theirs.quantity if theirs else 0)
            assert line.quantity <= most
            if line.quantity < most:
                clamped = min(MAX_LINE_QUANTITY, line.available)
                assert line.quantity == max(own.quantity if own else 0, min(most, clamped))
        assert set(had) <= {line.variant_id for line in merged.lines}
        missing = set(brought) - {line.variant_id for line in merged.lines}
        assert all(brought[variant_id].available == 0 for variant_id in missing)
        codes = [coupon.code for coupon in merged.coupons]
        assert codes[: len(mine.coupons)] == [coupon.code for coupon in mine.coupons]
        assert set(codes) <= {coupon.code for cart in (mine, guest) for coupon in cart.coupons}
        assert show_cart(owner=self._as(True)).id is None

    # The catalog

    @rule(number=st.integers(0, 4), price=PRICES)
    def reprice(self, number: int, price: int) -> None:
        Variant.objects.filter(pk=self.variants[number]).update(price_amount=price)

    @rule(number=st.integers(0, 4), available=st.integers(-2, 150))
    def restock(self, number: int, available: int) -> None:
        stock = Stock.objects.select_related("variant").get(pk=self.variants[number])
        change = StockChanged(
            version=stock.version + 1,
            variant_id=stock.pk,
            product_id=stock.variant.product_id,
            available=available,
        )
        services.store_stock(changes=[change])

    @rule(number=st.integers(0, 4), archived=st.booleans())
    def archive(self, number: int, archived: bool) -> None:
        Product.objects.filter(variants=self.variants[number]).update(archived=archived)

    # svc-orders

    @rule(target=orders)
    def order(self) -> Any:
        """Reads the snapshot, as a checkout does; its uses are taken by a step of their own."""
        snapshot = cart_snapshot(user_id=self.user_id)
        if not snapshot.lines:
            return multiple()
        order_id = uuid7()
        self.placed[order_id] = Order(
            lines={line.variant_id: line.quantity for line in snapshot.lines},
            cart_id=snapshot.cart_id,
            asked=[coupon.code for coupon in snapshot.coupons],
        )
        return order_id

    @rule(order_id=orders, again=st.booleans())
    def take_uses(self, order_id: UUID, again: bool) -> None:
        order = self.placed[order_id]
        for code in order.asked * (2 if again else 1):
            coupon = Coupon.objects.get(code=code)
            mine = CouponUse.objects.filter(coupon=coupon, user_id=self.user_id).count()
            try:
                _, is_new = services.use_coupon(order_id=order_id, user_id=self.user_id, code=code)
            except CouponUseClosed:
                assert order.status == "cancelled"
            except CouponUseRefused:
                assert mine == coupon.user_limit or coupon.used == coupon.total_limit
            else:
                assert is_new is (code not in order.used)
                order.used.add(code)

    @rule(order_id=orders)
    def pay(self, order_id: UUID) -> None:
        order = self.placed[order_id]
        if order.status != "unpaid":
            return
        before = self._quantities(self.owner)
        services.subtract_ordered(
            order_id=order_id,
            cart_id=order.cart_id,
            user_id=self.user_id,
            quantities=order.lines,
            codes=sorted(order.used),
        )
        order.status = "paid"
        left = Counter(before)
        left.subtract(
            {variant_id: quantity for variant_id, quantity in order.lines.items() if variant_id in before}
        )
        assert self._quantities(self.owner) == +left
        assert not order.used & {coupon.code for coupon in show_cart(owner=self.owner).coupons}

    @rule(order_id=consumes(orders), again=st.booleans())
    def cancel(self, order_id: UUID, again: bool) -> None:
        for _ in range(1 + again):
            services.give_uses_back(order_id=order_id)
        self.placed[order_id].status = "cancelled"
        self.placed[order_id].used.clear()
        for code in COUPONS:
            with pytest.raises(CouponUseClosed):
                services.use_coupon(order_id=order_id, user_id=self.user_id, code=code)

    # What holds after each step

    def _quantities(self, owner: Owner) -> dict[UUID, int]:
        return {line.variant_id: line.quantity for line in show_cart(owner=owner).lines}

    @invariant()
    def totals_add_up(self) -> None:
        for owner in (self.owner, self._as(True)):
            cart = show_cart(owner=owner)
            for line in cart.lines:
                assert line.line_total == line.unit_price * line.quantity
                assert 1 <= line.quantity <= MAX_LINE_QUANTITY
            assert cart.subtotal.amount == sum(line.line_total.amount for line in cart.lines)
            assert cart.discount.amount == sum(coupon.discount.amount for coupon in cart.coupons)
            assert cart.total == cart.subtotal - cart.discount
            assert 0 <= cart.discount.amount <= cart.subtotal.amount
            assert len(cart.coupons) <= MAX_COUPONS
            assert len({coupon.code for coupon in cart.coupons}) == len(cart.coupons)
            assert len({line.variant_id for line in cart.lines}) == len(cart.lines)

    @invariant()
    def orders_charge_what_the_cart_shows(self) -> None:
        cart, snapshot = show_cart(owner=self.owner), cart_snapshot(user_id=self.user_id)
        assert (snapshot.version, len(snapshot.lines)) == (cart.version, len(cart.lines))
        lines = [(line.variant_id, line.line_total.amount) for line in cart.lines]
        assert charged(snapshot.coupons, lines) == cart.discount.amount

    @invariant()
    def coupons_that_apply_go_together(self) -> None:
        cart = show_cart(owner=self.owner)
        if cart.id is None:
            return
        rules = list(map(rule_of, coupons_in_carts(cart_ids=[cart.id], user_id=self.user_id)))
        applied = {coupon.code for coupon in cart.coupons if coupon.applied}
        assert all(
            one.goes_with(other)
            for one in rules
            for other in rules
            if one is not other and {one.code, other.code} <= applied
        )
        assert [effect.discount for effect in apply(rules, [Part("", 0)])] == [0] * len(rules)

    @invariant()
    def uses_are_counted_and_within_limits(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT c.code, c.used, c.total_limit, c.user_limit, count(u.id) FROM cart_coupon c"
                " LEFT JOIN cart_couponuse u ON u.coupon_id = c.id GROUP BY c.id"
            )
            rows = cursor.fetchall()
        told = Counter(code for order in self.placed.values() for code in order.used)
        for code, used, total_limit, user_limit, counted in rows:
            assert used == counted == told[code]
            assert total_limit is None or used <= total_limit
            assert user_limit is None or counted <= user_limit  # all orders are this user's

    @invariant()
    def the_version_grows_exactly_when_the_content_changes(self) -> None:
        cart = show_cart(owner=self.owner)
        assert cart.version >= self.version
        self.played["steps"] += 1
        if self.cart is not None:
            assert (_content(cart) == _content(self.cart)) is (cart.version == self.version)
        self.version, self.cart = cart.version, cart
        assert Cart.objects.filter(user_id=self.user_id).count() <= 1


def _content(cart: ShownCart) -> tuple[Any, ...]:
    lines = [(line.id, line.variant_id, line.quantity) for line in cart.lines]
    return lines, [coupon.code for coupon in cart.coupons]


@pytest.mark.django_db
def test_any_sequence_leaves_a_cart_that_adds_up() -> None:
    run_state_machine_as_test(
        CartMachine,
        settings=settings(
            max_examples=EXAMPLES,
            derandomize=REPEATABLE,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(dict(CartMachine.played))
