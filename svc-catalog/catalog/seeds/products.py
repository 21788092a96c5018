"""Products made from words: the n-th is the same on every machine and in every run."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from uuid import NAMESPACE_DNS, UUID, uuid5

from catalog.seeds.vocabulary import ADJECTIVES, BRANDS, ROOTS, Leaf

SELLERS = tuple(
    uuid5(NAMESPACE_DNS, name)
    for name in ("seller@example.com", "seller2@example.com", "seller3@example.com")
)
_EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
_PACE = timedelta(seconds=47)
_MAX_VARIANTS = 8
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class SeedVariant:
    id: UUID
    sku: str
    name: str
    price_amount: int
    compare_at_amount: int | None
    weight_grams: int
    attributes: dict[str, str]
    on_hand: int


@dataclass(frozen=True, slots=True)
class SeedProduct:
    id: UUID
    slug: str
    seller_id: UUID
    category: str
    name: str
    brand: str
    description: str
    keywords: str
    attributes: dict[str, str]
    published_at: datetime
    rating: str
    review_count: int
    popularity: int
    variants: tuple[SeedVariant, ...]


@cache
def slugify(text: str) -> str:
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().replace("'", "")
    return re.sub(r"[^a-z0-9]+", "-", ascii_text.lower()).strip("-")


def seeded_id(moment: datetime, chance: Random) -> UUID:
    """A UUID of version 7 whose random part comes from `chance`."""
    milliseconds = int(moment.timestamp() * 1000)
    bits = chance.getrandbits(74)
    return UUID(int=milliseconds << 80 | 7 << 76 | (bits >> 62) << 64 | 0b10 << 62 | bits & (1 << 62) - 1)


@cache
def category_slugs() -> tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...]:
    """`(slug, name, leaves)` of each root; leaves as `(slug, name)`."""
    return tuple(
        (slugify(root.name), root.name, tuple((slugify(leaf.name), leaf.name) for leaf in root.leaves))
        for root in ROOTS
    )


@cache
def _leaves() -> tuple[tuple[str, Leaf], ...]:
    """Every leaf with the name of its root, so ordered that neighbours come from different roots."""
    columns = [[(root.name, leaf) for leaf in root.leaves] for root in ROOTS]
    return tuple(
        column[row] for row in range(max(map(len, columns))) for column in columns if row < len(column)
    )


def make_product(number: int) -> SeedProduct:
    """The product with this number, from 0."""
    chance = Random(f"shop product {number}")
    root, leaf = _leaves()[number % len(_leaves())]
    published_at = _EPOCH + number * _PACE
    product_id = seeded_id(published_at, chance)
    brand, noun, material = chance.choice(BRANDS), chance.choice(leaf.nouns), chance.choice(leaf.materials)
    name = f"{brand} {chance.choice(ADJECTIVES)} {noun}"
    variants = _variants(number, leaf, brand, published_at, chance)
    words = dict.fromkeys(
        [root, leaf.name, material, *(value for variant in variants for value in variant.attributes.values())]
    )
    reviews = int(chance.paretovariate(0.8) * 3) % 2400 if chance.random() < 0.85 else 0
    return SeedProduct(
        id=product_id,
        slug=f"{slugify(name)}-{_short(number)}",
        seller_id=SELLERS[0] if chance.random() < 0.7 else chance.choice(SELLERS[1:]),
        category=slugify(leaf.name),
        name=name,
        brand=brand,
        description=_description(name, noun, material, leaf, variants, chance),
        keywords=" ".join(words),
        attributes={"brand": brand, "material": material},
        published_at=published_at,
        rating=f"{min(5.0, max(1.0, chance.gauss(4.3, 0.45))):.2f}" if reviews else "0.00",
        review_count=reviews,
        popularity=int(reviews * chance.uniform(3, 9)),
        variants=variants,
    )


def _variants(
    number: int, leaf: Leaf, brand: str, moment: datetime, chance: Random
) -> tuple[SeedVariant, ...]:
    low, high = leaf.prices
    # Most products are at the cheap end of what their kind costs.
    base = _shop_price(low + (high - low) * chance.random() ** 2)
    reduced = chance.random() < 0.3
    discount = chance.choice((1.15, 1.2, 1.25, 1.4))
    weight = chance.randint(*leaf.weights)
    colors = chance.sample(leaf.colors, k=min(len(leaf.colors), chance.randint(1, 4)))
    sizes: Sequence[str] = leaf.sizes or ("",)
    combinations = [(color, step) for color in colors for step in range(len(sizes))]
    if len(combinations) > _MAX_VARIANTS:
        combinations = sorted(chance.sample(combinations, k=_MAX_VARIANTS), key=combinations.index)
    prefix = re.sub(r"[^A-Z]", "", brand.upper())[:4]
    variants = []
    for position, (color, step) in enumerate(combinations):
        price = base + step * leaf.size_step
        attributes = {"color": color, **({leaf.size_name: sizes[step]} if leaf.sizes else {})}
        variants.append(
            SeedVariant(
                id=seeded_id(moment + timedelta(milliseconds=position + 1), chance),
                sku=f"{prefix}-{_short(number).upper():0>4}-{position + 1:02d}",
                name=" / ".join(attributes.values()),
                price_amount=price,
                compare_at_amount=_shop_price(price * discount) if reduced else None,
                weight_grams=weight,
                attributes=attributes,
                on_hand=0 if chance.random() < 0.08 else int(chance.triangular(3, 240, 25)),
            )
        )
    return tuple(variants)


def _shop_price(amount: float) -> int:
    """Prices as shops write them: 19.90 or 24.99, in minor units."""
    whole = max(int(amount) // 100, 1)
    return whole * 100 + (90 if whole % 2 else 99)


def _description(
    name: str, noun: str, material: str, leaf: Leaf, variants: Sequence[SeedVariant], chance: Random
) -> str:
    opening = chance.choice(
        (
            f"The {name} is made of {material} and made for {chance.choice(leaf.uses)}.",
            f"{noun} for {chance.choice(leaf.uses)}: {material}, honest workmanship and nothing beside the point.",
            f"{material.capitalize()}, a calm shape and details that last. The {name} grows better with the years.",
        )
    )
    choice = sorted({variant.attributes["color"].lower() for variant in variants})
    colors = (
        f"It comes in {', '.join(choice[:-1])} and {choice[-1]}."
        if len(choice) > 1
        else f"It comes in {choice[0]}."
    )
    closing = chance.choice(
        (
            "Packed without plastic.",
            "Two-year guarantee; spare parts are in stock.",
            "Repairable, and shipped within two working days.",
            "Designed in small batches and checked by hand.",
        )
    )
    return f"{opening} {colors} {closing}"


def _short(number: int) -> str:
    digits = ""
    while True:
        number, digit = divmod(number, 36)
        digits = _BASE36[digit] + digits
        if not number:
            return digits
