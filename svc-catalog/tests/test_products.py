"""selectors.products behind GET /catalog/products and /catalog/products/{id or slug}."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.models import Product, ProductImage
from catalog.services.reservations import reserve
from catalog.services.seeding import seed_products
from shared_lib.contracts.internal.catalog import ReservationLineRequest
from tests.factories import SELLER, make_category, make_product, new_id, variant_of

pytestmark = pytest.mark.django_db

LIST = "/api/v1/catalog/products"


@pytest.fixture
def get(api: Any) -> Any:
    client = api.anonymous()

    def read(query: str = "", **headers: str) -> Any:
        return client.get(LIST + query, headers=headers)

    return read


def slugs(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [item["slug"] for item in answer.json()["results"]]


# One item, one page


def test_an_item_has_exactly_the_fields_of_the_contract(get: Any, settings: Any) -> None:
    product = make_product(
        slug="desk-lamp",
        name='Desk "Lamp" ü',
        prices=[4990, 5990],
        stock=[0, 3],
        compare_at_amount=6990,
        thumbnail="drawn/x/1-thumb.jpg",
        rating="4.25",
        review_count=8,
    )

    [item] = get().json()["results"]

    assert item == {
        "id": str(product.pk),
        "slug": "desk-lamp",
        "name": 'Desk "Lamp" ü',
        "price": {"amount": 4990, "currency": "USD"},
        "compare_at_price": {"amount": 6990, "currency": "USD"},
        "thumbnail": f"{settings.PUBLIC_BASE_URL}/media/drawn/x/1-thumb.jpg",
        "rating": 4.25,
        "review_count": 8,
        "in_stock": True,
        "seller": str(SELLER),
    }


def test_what_a_product_lacks_is_null(get: Any) -> None:
    make_product(stock=[0])

    [item] = get().json()["results"]

    assert (item["compare_at_price"], item["thumbnail"], item["rating"], item["in_stock"]) == (
        None,
        None,
        None,
        False,
    )


def test_only_published_products_are_listed(get: Any) -> None:
    make_product(slug="here")
    make_product(status=Product.Status.DRAFT)
    make_product(status=Product.Status.ARCHIVED)

    assert slugs(get()) == ["here"]


def test_an_empty_list_is_an_answer(get: Any) -> None:
    assert get("?category=nowhere").json() == {"results": [], "next": None, "previous": None}


def test_a_list_costs_one_query(get: Any, django_assert_num_queries: Any) -> None:
    for _ in range(5):
        make_product(stock=[1, 2, 3])

    with django_assert_num_queries(1):
        assert len(get().json()["results"]) == 5


def test_a_detail_costs_one_query(api: Any, django_assert_num_queries: Any) -> None:
    product = make_product(stock=[1, 2, 3])
    client = api.anonymous()

    with django_assert_num_queries(1):
        client.get(f"{LIST}/{product.pk}")


# Filters


def test_filters_narrow_the_list(get: Any) -> None:
    home, garden = make_category("home"), make_category("garden")
    lighting = make_category("lighting", parent=home)
    lamps = make_category("lamps", parent=lighting)
    other_seller = new_id()
    make_product(slug="lamp", category=lamps, prices=[3000, 9000], rating="4.5", review_count=2)
    make_product(slug="chair", category=home, prices=[5000], stock=[0])
    make_product(
        slug="spade", category=garden, prices=[2000], seller_id=other_seller, rating="3.9", review_count=1
    )

    assert set(slugs(get("?category=home"))) == {"lamp", "chair"}
    assert slugs(get("?category=lighting")) == ["lamp"]
    assert slugs(get(f"?category={lamps.pk}")) == ["lamp"]
    assert slugs(get("?min_price=3001")) == ["chair"]
    assert set(slugs(get("?max_price=3000"))) == {"lamp", "spade"}
    assert slugs(get("?min_price=2001&max_price=4999")) == ["lamp"]
    assert set(slugs(get("?in_stock=true"))) == {"lamp", "spade"}
    assert slugs(get("?in_stock=false")) == ["chair"]
    assert slugs(get(f"?seller={other_seller}")) == ["spade"]
    assert slugs(get("?rating_min=4")) == ["lamp"]
    assert set(slugs(get("?rating_min=0"))) == {"lamp", "spade"}
    assert slugs(get("?category=home&in_stock=1&max_price=3000&rating_min=4.5")) == ["lamp"]
    assert slugs(get("?category=garden&in_stock=false")) == []


def test_attributes_of_product_and_variants_filter(get: Any) -> None:
    red, blue = {"color": "Red", "size": "M"}, {"color": "Blue", "size": "L"}
    make_product(slug="shirt", attributes={"brand": "Kestrel"}, variants=[red, blue])
    make_product(slug="sock", attributes={"brand": "Kestrel"}, variants=[{"color": "Red", "size": "S"}])

    assert set(slugs(get("?attr.brand=kestrel"))) == {"shirt", "sock"}
    assert set(slugs(get("?attr.Color=RED"))) == {"shirt", "sock"}
    assert slugs(get("?attr.color=Blue")) == ["shirt"]
    assert set(slugs(get("?attr.size=S&attr.size=L"))) == {"shirt", "sock"}  # one name: any of its values
    assert slugs(get("?attr.color=Red&attr.size=S")) == ["sock"]  # several names: all of them
    assert slugs(get("?attr.color=Green")) == []
    assert slugs(get("?attr.nothing=Red")) == []


def test_a_stock_that_runs_out_leaves_the_filter(get: Any) -> None:
    product = make_product(slug="last", stock=[1])
    reserve(order_id=new_id(), lines=[ReservationLineRequest(variant_id=variant_of(product).pk, quantity=1)])

    assert slugs(get("?in_stock=true")) == []
    assert slugs(get("?in_stock=false")) == ["last"]


# Search


def test_words_are_found_in_name_brand_keywords_and_description(get: Any) -> None:
    make_product(slug="name", name="Trail Running Shoes")
    make_product(slug="brand", name="Bottle", brand="Running Co")
    make_product(slug="keyword", name="Tights", keywords="running sports")
    make_product(slug="described", name="Sock", description="Made for runners and for running.")
    make_product(slug="other", name="Vase")

    found = slugs(get("?q=running"))

    assert set(found) == {"name", "brand", "keyword", "described"}
    assert found[0] == "name"
    assert found[-1] == "described"
    assert slugs(get("?q=run+shoe")) == ["name"]


def test_a_misspelt_word_finds_names_that_look_like_it(get: Any) -> None:
    make_product(slug="headphones", name="Aurora Studio Headphones")
    make_product(slug="vase", name="Vase")

    assert slugs(get("?q=hedphones")) == ["headphones"]
    assert slugs(get("?q=xyzzyq")) == []


def test_a_search_goes_with_filters_and_sorts(get: Any) -> None:
    shoes = make_category("shoes")
    make_product(slug="cheap", name="Running Shoes", prices=[100], category=shoes)
    make_product(slug="dear", name="Running Shoes", prices=[900], category=shoes)
    make_product(slug="elsewhere", name="Running Shoes", prices=[500])

    assert slugs(get("?q=shoes&sort=-price")) == ["dear", "elsewhere", "cheap"]
    assert slugs(get("?q=shoes&sort=price&category=shoes")) == ["cheap", "dear"]
    assert slugs(get("?q=shoes&category=shoes&max_price=100")) == ["cheap"]


def test_an_empty_search_is_no_search(get: Any) -> None:
    make_product(slug="one")

    assert slugs(get("?q=")) == ["one"]
    assert slugs(get("?q=%20%20&sort=relevance")) == ["one"]


@pytest.mark.parametrize("q", ["'", '"', "a & | !", "\\", "%", "💥", "(((", "-", "a:*", "x" * 200])
def test_no_search_text_breaks_anything(get: Any, q: Any) -> None:
    make_product(name="Desk Lamp")

    assert get(f"?q={quote(q)}").status_code == 200


# Sorts and cursors

SORTED = {
    "newest": ["p4", "p3", "p2", "p1", "p0"],
    "price": ["p1", "p0", "p3", "p2", "p4"],
    "-price": ["p4", "p2", "p3", "p0", "p1"],
    "rating": ["p2", "p0", "p4", "p3", "p1"],
    "popular": ["p3", "p1", "p0", "p2", "p4"],
}


@pytest.fixture
def five() -> list[Product]:
    category = make_category("all")
    rows = [  # price, rating, reviews, popularity
        (200, "4.00", 9, 50),
        (100, "0.00", 0, 60),
        (300, "4.50", 1, 40),
        (200, "3.00", 5, 90),
        (400, "4.00", 3, 10),
    ]
    return [
        make_product(
            slug=f"p{number}",
            name="Lamp " * (number + 1),
            category=category,
            prices=[price],
            rating=rating,
            review_count=reviews,
            popularity=popularity,
            published_at=datetime(2026, 5, number + 1, 12, 30, 15, 123456, tzinfo=UTC),
        )
        for number, (price, rating, reviews, popularity) in enumerate(rows)
    ]


@pytest.mark.usefixtures("five")
@pytest.mark.parametrize("filters", ["", "&category=all", "&q=lamp"])
@pytest.mark.parametrize("sort", [*SORTED, "relevance"])
def test_following_next_and_previous_walks_every_row_once_and_back(get: Any, sort: Any, filters: Any) -> None:
    whole = slugs(get(f"?sort={sort}{filters}"))
    if sort != "relevance":
        assert whole == SORTED[sort]
    answer = get(f"?sort={sort}&page_size=2{filters}")
    pages = [answer.json()]
    while (following := pages[-1]["next"]) is not None:
        url = urlsplit(following)
        assert url.path == LIST
        pages.append(get(f"?{url.query}").json())

    assert [len(page["results"]) for page in pages] == [2, 2, 1]
    assert [item["slug"] for page in pages for item in page["results"]] == whole
    assert pages[0]["previous"] is None

    for expected in (pages[1], pages[0]):
        page = get(f"?{urlsplit(pages.pop()['previous']).query}").json()
        assert page["results"] == expected["results"]
    assert page["previous"] is None
    assert page["next"] is not None


def test_equal_keys_neither_repeat_nor_lose_rows(get: Any) -> None:
    made = {make_product(prices=[500], rating="4.00", review_count=1, popularity=7).slug for _ in range(7)}

    for sort in ("price", "-price", "rating", "popular"):
        seen, url = [], f"?sort={sort}&page_size=3"
        while url:
            answer = get(url)
            seen += slugs(answer)
            following = answer.json()["next"]
            url = f"?{urlsplit(following).query}" if following else ""
        assert len(seen) == 7
        assert set(seen) == made


def test_a_row_that_comes_in_front_does_not_shift_the_next_page(get: Any) -> None:
    for number in range(4):
        make_product(slug=f"old-{number}")
    first = get("?page_size=2")
    make_product(slug="new")

    second = get(f"?{urlsplit(first.json()['next']).query}")

    assert slugs(first) + slugs(second) == ["old-3", "old-2", "old-1", "old-0"]


def test_links_keep_the_filters_and_do_not_trust_the_host_header(api: Any, settings: Any) -> None:
    for _ in range(3):
        make_product(variants=[{"color": "Sky Blue"}])

    answer = api.anonymous().get(f"{LIST}?attr.color=Sky%20Blue&page_size=2", headers={"Host": "evil.test"})

    link = answer.json()["next"]
    assert link.startswith(f"{settings.PUBLIC_BASE_URL}{LIST}?")
    assert "attr.color=Sky+Blue" in link
    assert len(slugs(api.anonymous().get(f"{LIST}?{urlsplit(link).query}"))) == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("sort=name", "sort"),
        ("sort=price&sort=newest", "sort"),
        ("page_size=0", "page_size"),
        ("page_size=-1", "page_size"),
        ("page_size=ten", "page_size"),
        ("min_price=1.5", "min_price"),
        ("min_price=", "min_price"),
        ("min_price=-1", "min_price"),
        ("min_price=%D9%A1", "min_price"),
        ("max_price=99999999999999999999", "max_price"),
        ("min_price=5&max_price=4", "min_price"),
        ("in_stock=maybe", "in_stock"),
        ("seller=me", "seller"),
        ("rating_min=6", "rating_min"),
        ("rating_min=NaN", "rating_min"),
        ("category=a%20b", "category"),
        ("category=%00", "category"),
        ("q=a%00b", "q"),
        ("q=" + "x" * 201, "q"),
        ("attr.=x", "attr."),
        ("attr.color=", "attr.color"),
        ("attr.color=a%00b", "attr.color"),
        ("&".join(f"attr.color={n}" for n in range(21)), "attr"),
        ("cursor=", "cursor"),
        ("cursor=abc", "cursor"),
        ("cursor=%F0%9F%92%A5", "cursor"),
        ("cursor=bnVsbA", "cursor"),
        ("cursor=WyJuZXdlc3QiLCJ3IiwwXQ", "cursor"),
        ("cursor=WyJuZXdlc3QiLCJ3IiwwLCJ4IiwieSJd", "cursor"),
        ("cursor=WyJuZXdlc3QiLCJ3IiwwLDEsMl0", "cursor"),
    ],
)
def test_a_wrong_parameter_is_named(get: Any, query: Any, field: Any) -> None:
    make_product()

    answer = get(f"?{query}")

    assert answer.status_code == 422, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "validation_failed"
    assert [error["field"] for error in problem["errors"]] == [field]


def test_every_wrong_parameter_is_named_at_once(get: Any) -> None:
    answer = get("?sort=x&page_size=y&seller=z")

    assert {error["field"] for error in answer.json()["errors"]} == {"sort", "page_size", "seller"}


@pytest.mark.usefixtures("five")
def test_a_cursor_of_another_sort_is_refused(get: Any) -> None:
    query = urlsplit(get("?sort=price&page_size=2").json()["next"]).query

    answer = get("?" + query.replace("sort=price", "sort=rating"))

    assert [error["field"] for error in answer.json()["errors"]] == ["cursor"]


def test_a_page_has_at_most_a_hundred(get: Any) -> None:
    category = make_category()
    Product.objects.bulk_create(
        Product(
            slug=f"many-{number}",
            seller_id=SELLER,
            category=category,
            name="Many",
            status="published",
            currency="USD",
            published_at=datetime.now(UTC),
        )
        for number in range(101)
    )

    assert len(slugs(get("?page_size=1000"))) == 100


def test_unknown_parameters_are_left_alone(get: Any) -> None:
    make_product(slug="one")

    assert slugs(get("?utm_source=mail")) == ["one"]


# Detail


def test_a_product_in_full(api: Any, settings: Any) -> None:
    home = make_category("home", name="Home")
    product = make_product(
        slug="lamp",
        category=home,
        description="Bright.",
        attributes={"brand": "Lumio"},
        prices=[100, 200],
        stock=[0, 7],
        variants=[{"color": "Black"}, {"color": "White"}],
    )
    for position in (1, 0):
        ProductImage.objects.create(
            product=product,
            position=position,
            file=f"a/{position}.jpg",
            thumbnail=f"a/{position}-t.jpg",
            alt=f"Picture {position}",
            width=1,
            height=1,
        )
    removed = variant_of(make_product(slug="other"))
    removed.product = product
    removed.save()
    removed.soft_delete()
    first, second = variant_of(product, 0), product.variants.get(price_amount=200)
    reserve(order_id=new_id(), lines=[ReservationLineRequest(variant_id=second.pk, quantity=3)])

    by_slug = api.anonymous().get(f"{LIST}/lamp")
    by_id = api.anonymous().get(f"{LIST}/{product.pk}")

    assert by_slug.status_code == 200
    assert by_slug.content == by_id.content
    body = by_slug.json()
    assert (body["description"], body["attributes"]) == ("Bright.", {"brand": "Lumio"})
    assert body["category"] == {"id": str(home.pk), "slug": "home", "name": "Home"}
    media = f"{settings.PUBLIC_BASE_URL}/media/a"
    assert body["images"] == [
        {"url": f"{media}/{n}.jpg", "thumbnail": f"{media}/{n}-t.jpg", "alt": f"Picture {n}"} for n in (0, 1)
    ]
    assert body["variants"] == [
        {
            "id": str(variant.pk),
            "sku": variant.sku,
            "price": {"amount": price, "currency": "USD"},
            "attributes": {"color": color},
            "available": available,
        }
        for variant, price, color, available in ((first, 100, "Black", 0), (second, 200, "White", 4))
    ]
    item = api.anonymous().get(f"{LIST}?category=home").json()["results"][0]
    assert {key: body[key] for key in item} == item


@pytest.mark.parametrize(
    "key", ["nothing", str(new_id()), "UPPER", "a%00b", "x" * 500, "../x", "%F0%9F%92%A5", "0" * 36, "{}"]
)
def test_what_is_not_there_is_a_404_problem(api: Any, key: Any) -> None:
    make_product(status=Product.Status.DRAFT, slug="nothing")

    answer = api.anonymous().get(f"{LIST}/{key}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_slug_that_looks_like_an_id_is_found(api: Any) -> None:
    slug = "abcdefab-abcd-abcd-abcd-abcdefabcdef"
    make_product(slug=slug)

    assert api.anonymous().get(f"{LIST}/{slug}").json()["slug"] == slug


# Caching


@pytest.mark.parametrize("path", [LIST, f"{LIST}/lamp", "/api/v1/catalog/categories"])
def test_public_reads_may_be_kept_by_shared_caches_and_checked_by_tag(
    api: Any, settings: Any, path: Any
) -> None:
    settings.CATALOG_SHARED_MAX_AGE_SECONDS = 10
    product = make_product(slug="lamp", stock=[1])
    client = api.anonymous()
    first = client.get(path)

    assert first.headers["Cache-Control"] == "public, max-age=0, s-maxage=10"
    same = client.get(path, headers={"If-None-Match": f'"other", {first.headers["ETag"]}'})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert same.headers["Cache-Control"] == first.headers["Cache-Control"]
    assert client.get(path, headers={"If-None-Match": f"W/{first.headers['ETag']}"}).status_code == 304

    reserve(order_id=new_id(), lines=[ReservationLineRequest(variant_id=variant_of(product).pk, quantity=1)])
    changed = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == (304 if path.endswith("categories") else 200)


@pytest.mark.parametrize("path", [LIST, f"{LIST}/lamp", "/api/v1/catalog/categories"])
def test_token_cookie_and_language_make_no_difference(api: Any, path: str) -> None:
    make_product(slug="lamp")
    client = api.anonymous()
    plain = client.get(path)

    for name, value in {
        "Authorization": "Bearer nonsense",
        "Cookie": "refresh=x",
        "Accept-Language": "de",
        "Accept": "text/html",
        "Host": "elsewhere",
    }.items():
        other = client.get(path, headers={name: value})
        assert (other.content, other.headers["ETag"]) == (plain.content, plain.headers["ETag"])
    assert plain.headers["Vary"] == "Accept-Encoding"
    assert not {"Set-Cookie", "Content-Language"} & plain.headers.keys()


def test_a_large_answer_is_compressed_for_who_takes_that(api: Any) -> None:
    make_product(slug="lamp", description="A lamp. " * 200)
    client = api.anonymous()
    plain = client.get(f"{LIST}/lamp")
    small = client.get(f"{LIST}/lamp", headers={"Accept-Encoding": "br;q=1, gzip;q=0.8"})

    assert small.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(small.content) == plain.content
    assert small.headers["ETag"] != plain.headers["ETag"]
    for first, encoding in ((plain, "identity"), (small, "gzip")):
        again = client.get(
            f"{LIST}/lamp",
            headers={"Accept-Encoding": encoding, "If-None-Match": first.headers["ETag"]},
        )
        assert (again.status_code, again.headers["ETag"]) == (304, first.headers["ETag"])
    for refused in ("", "br", "gzip;q=0", "identity, gzip; q=0.0"):
        answer = client.get(f"{LIST}/lamp", headers={"Accept-Encoding": refused})
        assert (answer.content, "Content-Encoding" in answer.headers) == (plain.content, False)


def test_a_missing_product_is_told_in_the_readers_language_and_kept_by_nobody(api: Any) -> None:
    answer = api.anonymous().get(f"{LIST}/none", headers={"Accept-Language": "de"})

    assert answer.status_code == 404
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Accept-Language" in answer.headers["Vary"]


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_other_methods_are_refused(api: Any, method: Any) -> None:
    answer = getattr(api.anonymous(), method)(LIST)

    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD"


def test_head_answers_like_get(api: Any) -> None:
    make_product()
    client = api.anonymous()

    head = client.head(LIST)

    assert (head.status_code, head.headers["ETag"]) == (200, client.get(LIST).headers["ETag"])


# How PostgreSQL does it


PLANS = {
    "": "product_newest",
    "?sort=price": "product_price",
    "?sort=-price": "product_price",
    "?sort=rating": "product_rating",
    "?sort=popular": "product_popular",
    "?category=fitness": "product_cat_newest",
    "?category=kitchen&sort=-price": "product_cat_price",
    "?category=electronics&sort=rating": "product_cat_rating",
    "?category=electronics&sort=popular&in_stock=true": "product_cat_popular",
    f"?seller={SELLER}": "product_seller",
    "?attr.color=red&attr.size=xl&attr.brand=mirai&sort=price": "product_attributes",
    "?q=noise-cancelling+aurora": "product_search",
    "?q=hedphons": "product_name_trigrams",
}


def test_each_way_to_ask_has_its_index_and_so_has_its_next_page(get: Any) -> None:
    seed_products(4000, events=False)
    for _ in range(5):
        make_product()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT gin_clean_pending_list(oid) FROM pg_class WHERE relname LIKE 'product_%' AND relam = 2742"
        )
        cursor.execute("ANALYZE catalog_product")

    for query, index in PLANS.items():
        for path in (query, urlsplit(get(query).json()["next"] or "").query):
            if not path:
                continue
            with CaptureQueriesContext(connection) as captured:
                get("?" + path.removeprefix("?"))
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN " + captured.captured_queries[-1]["sql"])
                plan = "\n".join(row[0] for row in cursor.fetchall())
            assert index in plan, f"{path}: {plan}"
            assert "Seq Scan on catalog_product" not in plan, f"{path}: {plan}"
