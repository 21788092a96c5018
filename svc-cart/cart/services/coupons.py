"""Writing coupons: into and out of carts, and as staff makes and stops them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from cart import clients
from cart.discounts import Reason, apply, usable
from cart.exceptions import CouponCodeTaken, CouponNotApplicable, CouponNotFound
from cart.models import MAX_COUPONS, AppliedCoupon, Cart, Coupon, CouponKind
from cart.selectors import Owner, cart_parts, code_of, coupon_for, coupons_in_carts, rule_of
from cart.services.locks import Precondition, accept, lock_cart, save_changed
from shared_lib.exceptions import InvalidValue
from shared_lib.money import Money

# What staff may change of a coupon; code and kind stay what they were.
CHANGEABLE = (
    "description",
    "basis_points",
    "fixed_amount",
    "minimum_amount",
    "categories",
    "category_slugs",
    "starts_at",
    "ends_at",
    "exclusive",
    "stackable_with",
    "user_limit",
    "total_limit",
)


@transaction.atomic
def apply_coupon(*, owner: Owner, code: str, precondition: Precondition = accept) -> None:
    """Puts a coupon into the cart, behind those that are there; one that is there already stays where it is.

    Raises `CouponNotApplicable` unless it would take something of the cart as it is now (or the price of shipping).
    """
    cart = lock_cart(owner)
    if cart is not None:
        precondition(cart)
    wanted = code_of(code)
    coupon = coupon_for(code=wanted, user_id=owner.user_id) if wanted else None
    if coupon is None:
        raise CouponNotApplicable(Reason.UNKNOWN)
    there = coupons_in_carts(cart_ids=[cart.pk], user_id=owner.user_id) if cart else []
    if coupon in there:
        return
    rules = [rule_of(each) for each in (*there, coupon)]
    effect = apply(rules, cart_parts(cart_id=cart.pk) if cart else [])[-1]
    if effect.reason is Reason.MINIMUM_NOT_MET:
        raise CouponNotApplicable(effect.reason, minimum=_json(Money(coupon.minimum_amount, coupon.currency)))
    if effect.reason is not None:
        raise CouponNotApplicable(effect.reason)
    if cart is None or len(there) >= MAX_COUPONS:
        raise CouponNotApplicable(Reason.TOO_MANY)
    AppliedCoupon.objects.create(cart=cart, coupon=coupon)
    save_changed(cart)


@transaction.atomic
def remove_coupon(*, owner: Owner, code: str, precondition: Precondition = accept) -> None:
    """Takes a coupon out of the cart. Raises `CouponNotFound` if it is not in there."""
    cart = lock_cart(owner)
    wanted = code_of(code)
    if cart is None or wanted is None:
        raise CouponNotFound
    precondition(cart)
    removed, _ = cart.applied_coupons.filter(coupon__code=wanted).delete()
    if not removed:
        raise CouponNotFound
    save_changed(cart)


def carry_coupons_over(guest: Cart, mine: Cart) -> bool:
    """Adds the guest's coupons behind the user's, as far as this user may use them; says whether any came.

    Both carts are locked. What the user may not use, or does not go with what the user has, stays behind.
    """
    brought = coupons_in_carts(cart_ids=[guest.pk], user_id=mine.user_id)
    if not brought:
        return False
    there = coupons_in_carts(cart_ids=[mine.pk], user_id=mine.user_id)
    coupons = there + [coupon for coupon in brought if coupon not in there]
    verdicts = usable(map(rule_of, coupons))
    fit = [coupon for coupon, (_, reason) in zip(coupons, verdicts, strict=True) if reason is None]
    new = [coupon for coupon in fit if coupon not in there][: max(MAX_COUPONS - len(there), 0)]
    AppliedCoupon.objects.bulk_create([AppliedCoupon(cart=mine, coupon=coupon) for coupon in new])
    return bool(new)


@transaction.atomic
def create_coupon(*, code: str, kind: str, **values: Any) -> UUID:
    """Makes a coupon. `values` are those of `CHANGEABLE`; amounts are minor units of the shop's currency.

    `category_slugs` belongs to `categories`: `find_subtrees` has asked the catalog before. Raises `CouponCodeTaken`,
    `InvalidValue`.
    """
    coupon = Coupon(code=code.upper(), kind=kind, currency=settings.SHOP_CURRENCY, **values)
    _check(coupon)
    # The constraint decides, whoever makes the same code at the same moment.
    Coupon.objects.bulk_create([coupon], ignore_conflicts=True)
    if not Coupon.objects.filter(pk=coupon.pk).exists():
        raise CouponCodeTaken
    return coupon.pk


@transaction.atomic
def change_coupon(
    *, coupon_id: UUID, changes: Mapping[str, Any], precondition: Callable[[Coupon], None]
) -> None:
    """Changes what staff may change of a coupon (`CHANGEABLE`). Orders that used it keep what they got.

    Raises `CouponNotFound`, `InvalidValue`.
    """
    coupon = _lock_coupon(coupon_id)
    precondition(coupon)
    for name in changes.keys() & set(CHANGEABLE):
        setattr(coupon, name, changes[name])
    _check(coupon)
    coupon.bump()
    coupon.save(update_fields=[*CHANGEABLE, "version", "updated_at"])


@transaction.atomic
def stop_coupon(*, coupon_id: UUID, precondition: Callable[[Coupon], None]) -> None:
    """Nobody can use the coupon any more; orders that have used it keep what they got. Again: nothing changes."""
    coupon = _lock_coupon(coupon_id)
    precondition(coupon)
    if coupon.stopped_at is None:
        coupon.stopped_at = timezone.now()
        coupon.bump()
        coupon.save(update_fields=["stopped_at", "version", "updated_at"])


def find_subtrees(*, categories: Sequence[str]) -> list[str]:
    """Asks the catalog, outside of any transaction, for these categories and all below them.

    Raises `InvalidValue` for one that it does not know, and `ServiceUnavailable` if it is needed but does not answer.
    """
    if not categories:
        return []
    subtrees = clients.category_subtrees()
    unknown = [slug for slug in categories if slug not in subtrees]
    if unknown:
        raise InvalidValue("categories", f"There is no category {unknown[0]}.", "unknown_category")
    return _collect(categories, subtrees)


def refresh_coupon_categories() -> int:
    """Asks the catalog again which categories lie below those of the coupons that still run; says how many changed."""
    running = Coupon.objects.filter(stopped_at=None).exclude(categories=[])
    coupons = list(running.exclude(ends_at__lte=timezone.now()))
    if not coupons:
        return 0
    subtrees = clients.category_subtrees()
    changed = 0
    for coupon in coupons:
        slugs = _collect(coupon.categories, subtrees)
        if slugs != coupon.category_slugs:
            # Only if the categories are those that were read: staff may have changed them meanwhile.
            same = Coupon.objects.filter(pk=coupon.pk, categories=coupon.categories)
            changed += same.update(category_slugs=slugs)
    return changed


def _lock_coupon(coupon_id: UUID) -> Coupon:
    coupon = Coupon.objects.select_for_update(no_key=True).filter(pk=coupon_id).first()
    if coupon is None:
        raise CouponNotFound
    return coupon


def _check(coupon: Coupon) -> None:
    """What the constraints of the table demand, said in a sentence. Raises `InvalidValue`."""
    wants = {
        "basis_points": coupon.kind == CouponKind.PERCENT,
        "fixed_amount": coupon.kind == CouponKind.FIXED,
    }
    for name, needed in wants.items():
        if bool(getattr(coupon, name)) is not needed:
            field = "amount" if name == "fixed_amount" else name
            sentence = "is needed by" if needed else "does not go with"
            raise InvalidValue(field, f"This {sentence} the kind {coupon.kind}.", "invalid_kind")
    if coupon.starts_at and coupon.ends_at and coupon.ends_at <= coupon.starts_at:
        raise InvalidValue("ends_at", "A coupon ends after its start.", "min_value")
    if coupon.exclusive and coupon.stackable_with:
        raise InvalidValue("stackable_with", "An exclusive coupon goes with no other.", "exclusive")
    if coupon.total_limit is not None and coupon.total_limit < coupon.used:
        raise InvalidValue("total_limit", f"It has been used {coupon.used} times already.", "min_value")


def _collect(categories: Iterable[str], subtrees: Mapping[str, set[str]]) -> list[str]:
    return sorted(set().union(*(subtrees.get(slug, {slug}) for slug in categories)))


def _json(money: Money) -> dict[str, Any]:
    return {"amount": money.amount, "currency": money.currency}
