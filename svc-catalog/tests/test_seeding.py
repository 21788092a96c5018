"""services.seeding and services.images behind the two commands of the demo shop."""

from __future__ import annotations

import io
import stat
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F, Sum
from PIL import Image

from catalog.models import Category, Product, ProductImage, Stock, StockMovement, Variant
from catalog.seeds.pictures import _SHAPES, SIZE, draw_pictures
from catalog.seeds.products import make_product as made
from catalog.seeds.vocabulary import ROOTS
from shared_lib.contracts.events import ProductPublished, ProductUpdated, StockChanged
from tests.factories import make_product

pytestmark = pytest.mark.django_db


def run(command: str, *arguments: object) -> str:
    output = io.StringIO()
    call_command(command, *map(str, arguments), stdout=output)
    return output.getvalue()


def test_fifty_products_are_made_with_everything_they_need() -> None:
    run("generate_fake_products", 50)

    assert Product.objects.filter(status="published").count() == 50
    demo_seller = uuid5(NAMESPACE_DNS, "seller@example.com")
    of_the_demo_seller = Product.objects.filter(seller_id=demo_seller).count()
    assert 25 <= of_the_demo_seller < 50
    assert Product.objects.values("category__parent").distinct().count() == 8
    for product in Product.objects.prefetch_related("variants__stock"):
        variants = list(product.variants.all())
        prices = [variant.price_amount for variant in variants]
        assert (product.min_price_amount, product.max_price_amount) == (min(prices), max(prices))
        assert product.variants_in_stock == sum(variant.stock.on_hand > 0 for variant in variants)
        assert product.description
        assert all(
            f"color={variant.attributes['color'].lower()}" in product.attribute_tokens for variant in variants
        )
    assert (
        StockMovement.objects.filter(kind="received").count()
        == Variant.objects.count()
        == Stock.objects.count()
    )
    assert Category.objects.aggregate(sum=Sum("product_count"))["sum"] == 50


def test_seeding_twice_doubles_nothing_and_more_adds_only_what_is_missing(published: Any) -> None:
    run("generate_fake_products", 20)
    before = list(Product.objects.order_by("pk").values_list("pk", "version", "updated_at"))

    assert "0 products made, 20 were there" in run("generate_fake_products", 20)
    assert list(Product.objects.order_by("pk").values_list("pk", "version", "updated_at")) == before

    assert "5 products made, 20 were there" in run("generate_fake_products", 25)
    assert Category.objects.aggregate(sum=Sum("product_count"))["sum"] == 25
    assert len(published(ProductPublished)) == 25


def test_a_seeded_product_that_was_archived_stays_archived() -> None:
    run("generate_fake_products", 3)
    Product.objects.filter(pk=made(1).id).update(status="archived")

    run("generate_fake_products", 3)

    assert Product.objects.filter(status="published").count() == 2


def test_other_services_hear_of_every_seeded_product_and_its_stock(published: Any) -> None:
    run("generate_fake_products", 5)

    told = {event.product_id: event for event in published(ProductPublished)}
    assert set(told) == set(Product.objects.values_list("pk", flat=True))
    for product in Product.objects.prefetch_related("variants"):
        event = told[product.pk]
        assert (event.version, event.slug, event.name, event.seller_id) == (
            1,
            product.slug,
            product.name,
            product.seller_id,
        )
        assert {variant.variant_id: variant.price.amount for variant in event.variants} == {
            variant.pk: variant.price_amount for variant in product.variants.all()
        }
    available = {event.variant_id: (event.version, event.available) for event in published(StockChanged)}
    assert available == {pk: (1, on_hand) for pk, on_hand in Stock.objects.values_list("pk", "on_hand")}


def test_the_same_number_is_the_same_product_everywhere() -> None:
    first, again, other = made(7), made(7), made(8)

    assert first == again
    assert first.id != other.id
    assert first.id.version == 7
    assert str(first.id) == "01941f2e-8128-7b74-adbc-7101da87c572"


def test_nothing_is_told_without_events(published: Any) -> None:
    run("generate_fake_products", 3, "--no-events")

    assert Product.objects.count() == 3
    assert not published(ProductPublished)


@pytest.mark.parametrize(
    ("command", "count"), [("generate_fake_products", -1), ("generate_product_images", 0)]
)
def test_a_count_that_makes_no_sense_is_refused(command: Any, count: Any) -> None:
    with pytest.raises(CommandError, match="must be from"):
        run(command, "--", count)


# Pictures


def test_every_product_gets_its_pictures_and_a_thumbnail(api: Any, settings: Any, published: Any) -> None:
    run("generate_fake_products", 3)

    run("generate_product_images", 2)

    assert ProductImage.objects.count() == 6
    for product in Product.objects.all():
        detail = api.anonymous().get(f"/api/v1/catalog/products/{product.slug}").json()
        assert detail["thumbnail"] == detail["images"][0]["thumbnail"]
        for image in detail["images"]:
            assert image["alt"].startswith(product.name)
            for url, side in ((image["url"], SIZE), (image["thumbnail"], SIZE // 2)):
                prefix = f"{settings.PUBLIC_BASE_URL}/media/"
                assert url.startswith(prefix)
                file = Path(settings.MEDIA_ROOT) / url.removeprefix(prefix)
                assert stat.S_IMODE(file.stat().st_mode) == 0o644
                assert stat.S_IMODE(file.parent.stat().st_mode) == 0o755
                with Image.open(file) as picture:
                    assert (picture.format, picture.size) == ("JPEG", (side, side))
    told = {event.product_id: event for event in published(ProductUpdated)}
    assert {(event.version, bool(event.thumbnail)) for event in told.values()} == {(2, True)}
    assert len(told) == 3


def test_drawing_again_draws_only_what_is_missing(settings: Any) -> None:
    run("generate_fake_products", 2)
    run("generate_product_images", 2)
    files = sorted(path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file())
    contents = [path.read_bytes() for path in files]

    assert run("generate_product_images", 2).startswith("0 pictures")
    assert run("generate_product_images", 1).startswith("0 pictures")

    files[0].unlink()
    assert run("generate_product_images", 2).startswith("1 pictures")
    assert [path.read_bytes() for path in files] == contents

    assert run("generate_product_images", 3).startswith("2 pictures")
    assert ProductImage.objects.count() == 6


def test_products_with_pictures_of_their_own_are_left_alone(tmp_path: Any) -> None:
    product = make_product()
    ProductImage.objects.create(product=product, file="own.jpg", thumbnail="own-t.jpg", width=1, height=1)

    assert run("generate_product_images", 2).startswith("0 pictures")
    assert product.images.get().file == "own.jpg"


def test_every_kind_of_thing_can_be_drawn() -> None:
    leaves = [leaf for root in ROOTS for leaf in root.leaves]

    assert {leaf.picture for leaf in leaves} == set(_SHAPES)
    seen = set()
    for leaf in {leaf.picture: leaf for leaf in leaves}.values():
        [(picture, _)] = draw_pictures(key="k", name="A thing", category=leaf.name, colors=["Red"], count=1)
        seen.add(picture)
    assert len(seen) == len(_SHAPES)
    [(parcel, _)] = draw_pictures(key="k", name="A thing", category="Unheard of", colors=[], count=1)
    assert parcel not in seen


def test_all_colors_of_the_words_are_known() -> None:
    from catalog.seeds.vocabulary import COLORS

    assert all(set(leaf.colors) <= set(COLORS) for root in ROOTS for leaf in root.leaves)


def test_seeded_products_balance() -> None:
    run("generate_fake_products", 10)

    received = (
        StockMovement.objects.values("variant")
        .annotate(sum=Sum("on_hand_delta"))
        .values_list("variant", "sum")
    )
    assert dict(received) == dict(Stock.objects.values_list("pk", "on_hand"))
    assert not Stock.objects.exclude(version=1).exists()
    assert not Variant.objects.filter(compare_at_amount__lte=F("price_amount")).exists()
