"""What every endpoint shares, seen through a sample service."""

from __future__ import annotations

import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import psycopg
import pytest
from django.db import connection
from sample.models import Note

from shared_lib.ids import uuid7

pytestmark = [pytest.mark.django_db, pytest.mark.urls("sample.root_urls")]

ADDRESS = {"full_name": "Ada", "line1": "1 Street", "city": "London", "postal_code": "N1", "country": "GB"}


def test_every_invalid_field_is_named_by_its_path(api):
    body = {
        "address": {**ADDRESS, "country": "gb"},
        "lines": [{"quantity": 0, "price": {"amount": 1.5, "currency": "USD"}}],
    }
    response = api.as_user().post("/api/v1/parcels", body)
    assert response.status_code == 422
    assert response["Content-Type"] == "application/problem+json"
    document = response.json()
    assert document["code"] == "validation_failed"
    assert document["request_id"] == response["X-Request-Id"]
    assert {error["field"]: error["code"] for error in document["errors"]} == {
        "address.country": "invalid",
        "lines.0.quantity": "min_value",
        "lines.0.price": "invalid",
    }


def test_an_address_loses_its_blank_parts(api):
    body = {
        "address": {**ADDRESS, "line2": ""},
        "lines": [{"quantity": 1, "price": {"amount": 5, "currency": "USD"}}],
    }
    response = api.as_user().post("/api/v1/parcels", body)
    assert response.status_code == 200
    assert response.json() == {"address": ADDRESS, "price": {"amount": 5, "currency": "USD"}}


def test_another_currency_is_refused(api):
    body = {"address": ADDRESS, "lines": [{"quantity": 1, "price": {"amount": 5, "currency": "EUR"}}]}
    response = api.as_user().post("/api/v1/parcels", body)
    assert response.json()["errors"] == [
        {"field": "lines.0.price", "code": "currency", "detail": "The shop's currency is USD."}
    ]


@pytest.mark.parametrize("body", [b"{", b'"text"', b"\xff\xfe", b'{"a": NaN}'])
def test_a_body_that_does_not_parse_is_a_bad_request(api, body):
    response = api.as_user().generic("POST", "/api/v1/parcels", body, content_type="application/json")
    assert (response.status_code, response.json()["code"]) == (400, "bad_request")


def test_another_media_type_is_refused(api):
    response = api.as_user().generic("POST", "/api/v1/parcels", b"a=1", content_type="text/csv")
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


def test_an_unknown_path_and_a_wrong_method_are_problems(api):
    assert api.anonymous().get("/api/v1/nothing").json()["code"] == "not_found"
    response = api.as_user().delete("/api/v1/parcels")
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")


def test_a_crash_tells_nothing_of_itself(api, caplog):
    response = api.anonymous().get("/api/v1/crash")
    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    assert b"secret inside" not in response.content
    assert "unhandled_exception" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_a_lost_database_session_is_told_as_a_503_that_may_be_tried_again(api):
    client = api.as_user()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()

    def end_the_session(execute, *args):
        with psycopg.connect(**connection.get_connection_params() | {"autocommit": True}) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [backend])
        return execute(*args)

    with connection.execute_wrapper(end_the_session):
        response = client.post("/api/v1/notes", {"text": "hello"})
    assert (response.status_code, response["Content-Type"]) == (503, "application/problem+json")
    assert (response.json()["code"], response["Retry-After"]) == ("service_unavailable", "1")
    connection.close()
    assert client.post("/api/v1/notes", {"text": "hello"}).status_code == 201


def test_a_missing_token_and_a_bad_one_are_told_apart(api):
    missing = api.anonymous().get("/api/v1/notes")
    assert (missing.status_code, missing["WWW-Authenticate"], missing.json()["code"]) == (
        401,
        "Bearer",
        "unauthorized",
    )
    client = api.anonymous()
    client.credentials(HTTP_AUTHORIZATION="Bearer nonsense")
    bad = client.get("/api/v1/notes")
    assert (bad.status_code, bad["WWW-Authenticate"]) == (401, 'Bearer error="invalid_token"')
    assert bad.json()["code"] == "invalid_token"


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        {"aud": "another"},
        {"iss": "another"},
        {"sub": None},
        {"sub": "not-a-uuid"},
        {"sid": None},
        {"roles": None},
        {"exp": None},
    ],
)
def test_a_token_with_a_wrong_claim_is_refused_and_a_good_one_beside_it_works(api, claims):
    assert api.as_user().get("/api/v1/notes").status_code == 200
    response = api.as_user(claims=claims).get("/api/v1/notes")
    assert (response.status_code, response.json()["code"]) == (401, "invalid_token")


def test_an_optional_route_serves_guests_but_refuses_a_bad_token(api):
    assert api.anonymous().patch("/api/v1/note").json() == {"who": "guest"}
    client = api.anonymous()
    client.credentials(HTTP_AUTHORIZATION="Basic abc")
    assert client.patch("/api/v1/note").status_code == 401


def test_a_lost_update_is_refused(api):
    assert api.anonymous().patch("/api/v1/note", headers={"If-Match": '"note-2"'}).status_code == 200
    # the tag of the same state as a compressed answer had it
    assert api.anonymous().patch("/api/v1/note", headers={"If-Match": '"note-2-gzip"'}).status_code == 200
    assert api.anonymous().patch("/api/v1/note", headers={"If-Match": "*"}).status_code == 200
    for stale in ('"note-1"', 'W/"note-2"'):
        response = api.anonymous().patch("/api/v1/note", headers={"If-Match": stale})
        assert (response.status_code, response.json()["code"]) == (412, "precondition_failed")


def test_a_list_is_walked_by_its_cursors_without_seeing_a_row_twice(api):
    for index in range(5):
        Note.objects.create(text=str(index))
    client = api.as_user()
    page = client.get("/api/v1/notes?page_size=2").json()
    seen = [note["text"] for note in page["results"]]
    Note.objects.create(text="new")
    while page["next"]:
        page = client.get(page["next"]).json()
        seen += [note["text"] for note in page["results"]]
    assert seen == ["4", "3", "2", "1", "0"]
    assert page["previous"]


def test_tables_of_staff_are_numbered_and_closed_to_others(api):
    Note.objects.create(text="one")
    assert api.as_user(roles=["customer"]).get("/api/v1/notes/staff").status_code == 403
    assert api.as_user(roles=["admin"]).get("/api/v1/notes/staff?page=1").json()["count"] == 1
    assert api.as_user(roles=["staff"]).get("/api/v1/notes/staff?page=2").status_code == 404


def test_request_ids_are_taken_over_when_well_formed(api):
    assert (
        api.anonymous().get("/healthz", headers={"X-Request-Id": "abcdefgh-1"})["X-Request-Id"]
        == "abcdefgh-1"
    )
    assert api.anonymous().get("/healthz", headers={"X-Request-Id": "a b"})["X-Request-Id"] != "a b"


def test_a_request_that_waited_beyond_its_deadline_is_answered_without_any_work(api):
    before = Note.objects.count()
    late = {"HTTP_X_REQUEST_DEADLINE": f"{time.time() - 0.001:.3f}"}
    response = api.as_user().post("/api/v1/notes", {"text": "hello"}, **late)
    assert (response.status_code, response["Content-Type"]) == (503, "application/problem+json")
    assert response.json()["code"] == "service_unavailable"
    assert response["Retry-After"] == "1"
    assert Note.objects.count() == before
    in_time = {"HTTP_X_REQUEST_DEADLINE": f"{time.time() + 5:.3f}"}
    assert api.as_user().post("/api/v1/notes", {"text": "hello"}, **in_time).status_code == 201
    assert Note.objects.count() == before + 1


def test_health_readiness_metrics_and_manifest_answer(api):
    assert api.anonymous().get("/healthz").content == b"ok\n"
    assert api.anonymous().get("/readyz").status_code == 200
    assert b"shop_http_requests_total" in api.anonymous().get("/metrics").content
    manifest = api.anonymous().get("/internal/v1/manifest").json()
    assert manifest["service"] == "svc-catalog"
    assert manifest["publishes"]["stock.changed.v1"]["properties"]["available"] == {"type": "integer"}
    assert "lines[].quantity" in manifest["consumes"]["order.confirmed.v1"]["needs"]
    assert {each["endpoint"] for each in manifest["serves"]} >= {"GET variants", "POST reservations"}
    assert {"method": "POST", "path": "/api/v1/notes"} in manifest["public"]
    assert not [each for each in manifest["public"] if each["path"].startswith(("/internal", "/healthz"))]


def test_an_internal_endpoint_answers_only_the_services_it_lists(api, internal):
    body = {"refund_id": str(uuid7()), "amount": {"amount": 5, "currency": "USD"}, "reason": "test"}
    assert internal("svc-orders").post("/internal/v1/refunds", body).json() == body
    assert internal("svc-cart").post("/internal/v1/refunds", body).status_code == 403
    assert api.anonymous().post("/internal/v1/refunds", body).status_code == 401
    assert api.as_user(roles=["admin"]).post("/internal/v1/refunds", body).status_code == 401


def test_an_internal_body_that_breaks_the_contract_is_named(internal):
    response = internal("svc-orders").post("/internal/v1/refunds", {"refund_id": str(uuid7()), "reason": "x"})
    assert response.status_code == 422
    assert "amount" in response.json()["errors"][0]["detail"]


class TestIdempotencyKey:
    def test_the_same_request_again_gets_the_first_answer(self, api):
        client = api.as_user()
        first = client.post("/api/v1/notes", {"text": "a"}, headers={"Idempotency-Key": "k"})
        again = client.post("/api/v1/notes", {"text": "a"}, headers={"Idempotency-Key": "k"})
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.content == again.content
        assert again["Idempotent-Replayed"] == "true"
        assert Note.objects.count() == 1

    def test_another_body_under_the_same_key_is_refused(self, api):
        client = api.as_user()
        client.post("/api/v1/notes", {"text": "a"}, headers={"Idempotency-Key": "k"})
        response = client.post("/api/v1/notes", {"text": "b"}, headers={"Idempotency-Key": "k"})
        assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")

    def test_a_key_belongs_to_one_user(self, api):
        for client in (api.as_user(), api.as_user()):
            assert (
                client.post("/api/v1/notes", {"text": "a"}, headers={"Idempotency-Key": "k"}).status_code
                == 201
            )
        assert Note.objects.count() == 2

    def test_an_error_is_not_kept_and_leaves_nothing(self, api):
        client = api.as_user()
        refused = client.post("/api/v1/notes", {"text": "refuse"}, headers={"Idempotency-Key": "k"})
        assert (refused.status_code, refused.json()["reason"]) == (409, "word")
        assert Note.objects.count() == 0
        assert (
            client.post("/api/v1/notes", {"text": "good"}, headers={"Idempotency-Key": "k"}).status_code
            == 201
        )

    @pytest.mark.parametrize("key", ["", "x" * 256, "ä", "a\tb"])
    def test_a_malformed_key_is_refused(self, api, key):
        response = api.as_user().post("/api/v1/notes", {"text": "a"}, headers={"Idempotency-Key": key})
        assert (response.status_code, response.json()["code"]) == (400, "idempotency_key_malformed")

    @pytest.mark.django_db(transaction=True)
    def test_five_at_once_make_one(self, api):
        client = api.as_user()

        def send(_: int) -> int:
            try:
                return client.post(
                    "/api/v1/notes", {"text": "a"}, headers={"Idempotency-Key": "k"}
                ).status_code
            finally:
                connection.close()

        with ThreadPoolExecutor(5) as pool:
            statuses = list(pool.map(send, range(5)))
        assert set(statuses) <= {201, 409}
        assert 201 in statuses
        assert Note.objects.count() == 1


@pytest.mark.parametrize(
    "plain",
    ["p=2026", "p=2026-11-22", "p=2026-11-22 00:00:00", "p=%00", "p=9999999-01-01", "o=-1", "o=x", "r=x&p=y"],
)
def test_a_cursor_that_is_none_is_a_sentence(api, plain):
    """Whoever knows how cursors are written can write one: no position may reach the database as it is."""
    cursor = b64encode(plain.encode()).decode()
    response = api.as_user().get("/api/v1/notes", {"cursor": cursor})
    assert response.status_code == 422, response.content
    assert response.json()["errors"][0]["field"] == "cursor"


@pytest.mark.parametrize("cursor", ["p", "%00", "\xff", "ä"])
def test_a_cursor_that_cannot_be_read_is_a_sentence(api, cursor):
    response = api.as_user().get("/api/v1/notes", {"cursor": cursor})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "cursor"


def test_a_cursor_with_a_position_of_the_list_goes_on_there(api):
    cursor = b64encode(urlencode({"p": "2026-11-22 00:00:00+00:00"}).encode()).decode()
    assert api.as_user().get("/api/v1/notes", {"cursor": cursor}).status_code == 200
