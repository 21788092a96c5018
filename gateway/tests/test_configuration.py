"""A mistake in the environment or in the route table is a sentence, before anything is served."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import http
from tests.support.gateway import FOLDER, NGINX, Gateway, check, render

GOOD = {
    "ENVIRONMENT": "dev",
    "REDIS_HOST": "127.0.0.1",
    "PUBLIC_BASE_URL": "http://localhost:8080",
    "MEDIA_ROOT": "/srv/media",
    "SVC_ACCOUNTS_URL": "http://127.0.0.1:1",
    "SVC_CATALOG_URL": "http://127.0.0.1:2/",
    "SVC_CART_URL": "http://localhost:3",
    "SVC_ORDERS_URL": "http://[::1]:4",
    "SVC_PAYMENTS_URL": "http://127.0.0.1:5",
    "SVC_NOTIFICATIONS_URL": "http://127.0.0.1:6",
    "SANDBOX_URL": "http://127.0.0.1:7",
    "MAIL_WEB_URL": "http://127.0.0.1:8",
}
PROD = GOOD | {
    "ENVIRONMENT": "prod",
    "TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::/32",
    "GATEWAY_USER": "nobody",
}


def test_a_good_environment_renders_a_configuration_that_nginx_takes(tmp_path: Path) -> None:
    for name, environment in {"dev": GOOD, "prod": PROD}.items():
        result = render(environment | {"OUTPUT_DIR": str(tmp_path / name)})
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
        checked = check(tmp_path / name)
        assert checked.returncode == 0, checked.stderr
        assert "warn" not in checked.stderr


MISTAKES = [
    ("ENVIRONMENT", None, "ENVIRONMENT is not set"),
    ("ENVIRONMENT", "production", "must be dev, test or prod"),
    ("OUTPUT_DIR", None, "OUTPUT_DIR is not set"),
    ("OUTPUT_DIR", "relative", "must be an absolute path"),
    ("MEDIA_ROOT", None, "MEDIA_ROOT is not set"),
    ("MEDIA_ROOT", "/a$b", "dollar sign"),
    ("MEDIA_ROOT", '/a"; return 200; #', "quote"),
    ("MEDIA_ROOT", "/a\nb", "line break"),
    ("GATEWAY_PORT", "http", "GATEWAY_PORT must be a whole number"),
    ("GATEWAY_PORT", "70000", "from 1 to 65535"),
    ("GATEWAY_PORT", "8081", "must differ"),
    ("GATEWAY_HOST", "localhost;", "GATEWAY_HOST must be an IP address"),
    ("GATEWAY_ADMIN_HOST", "8.8.8.8", "GATEWAY_ADMIN_HOST must be"),
    ("GATEWAY_WORKERS", "many", "GATEWAY_WORKERS must be"),
    ("SVC_ORDERS_URL", None, "SVC_ORDERS_URL is not set"),
    ("SVC_ORDERS_URL", "https://orders:1", "SVC_ORDERS_URL must look like http://HOST:PORT"),
    ("SVC_ORDERS_URL", "http://orders:1/path", "must look like"),
    ("SVC_ORDERS_URL", "http://orders:1; server evil:1", "must look like"),
    ("REDIS_HOST", None, "REDIS_HOST must be"),
    ("REDIS_HOST", "no-such-host.invalid", "has no IPv4 address"),
    ("REDIS_PORT", "0", "REDIS_PORT must be"),
    ("REDIS_USER", 'x"', "REDIS_USER must be"),
    ("RESOLVER", "dns", "RESOLVER must be"),
    ("JWT_ISSUER", 'a"b', "JWT_ISSUER may hold"),
    ("JWT_AUDIENCE", "a b", "JWT_AUDIENCE may hold"),
    ("PUBLIC_BASE_URL", None, "PUBLIC_BASE_URL must be"),
    ("PUBLIC_BASE_URL", "localhost:8080", "PUBLIC_BASE_URL must be"),
    ("CORS_ORIGINS", "*", "CORS_ORIGINS must be origins"),
    ("CORS_ORIGINS", "https://a.example/path", "no path"),
    ("STOREFRONT_URL", "javascript:alert(1)", "STOREFRONT_URL must be"),
    ("TRUSTED_PROXIES", "everybody", "TRUSTED_PROXIES must be"),
    ("GATEWAY_LIMIT_USER", "fast", "GATEWAY_LIMIT_USER must look like"),
    ("GATEWAY_LIMIT_USER", "0/1s burst 1", "GATEWAY_LIMIT_USER must look like"),
    ("GATEWAY_BODY_MAX", "1G", "GATEWAY_BODY_MAX must be"),
    ("GATEWAY_TIME_NORMAL", "0", "GATEWAY_TIME_NORMAL must be"),
    ("GATEWAY_USER", "no-such-user-here", "no such user")
    if os.getuid() == 0
    else ("LOG_LEVEL", "loud", "LOG_LEVEL must be"),
    ("LOG_LEVEL", "loud", "LOG_LEVEL must be"),
    ("NGINX_MODULES_DIR", "/nowhere", "libnginx-mod-http-lua"),
    ("GATEWAY_ROUTES", "/nowhere/routes.lua", "can't be read"),
]


@pytest.mark.parametrize(("name", "value", "sentence"), MISTAKES)
def test_a_mistake_in_the_environment_is_a_sentence_and_nothing_is_written(
    tmp_path: Path, name: str, value: str | None, sentence: str
) -> None:
    output = tmp_path / "out"
    environment = GOOD | {"OUTPUT_DIR": str(output)}
    if value is None:
        del environment[name]
    else:
        environment[name] = value
    result = render(environment)
    assert result.returncode == 1
    assert sentence in result.stderr
    assert all(line.startswith("gateway: ") for line in result.stderr.splitlines() if sentence in line)
    assert not output.exists()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("GATEWAY_WORKER", "GATEWAY_WORKER is not a setting of the gateway; GATEWAY_WORKERS is"),
        ("GATEWAY_COLOUR", "GATEWAY_COLOUR is not a setting of the gateway: correct"),
        ("JWT_ISUER", "JWT_ISSUER is"),
        ("CORS_ORIGIN", "CORS_ORIGINS is"),
        ("REDIS_HOTS", None),  # two letters of ten
        ("HOSTNAME", None),
        ("EDITOR", None),
    ],
)
def test_a_name_that_nobody_reads_is_refused_if_it_can_only_be_a_mistake(
    tmp_path: Path, name: str, sentence: str | None
) -> None:
    result = render(GOOD | {"OUTPUT_DIR": str(tmp_path / "out"), name: "x"})
    assert result.returncode == (1 if sentence else 0), result.stderr
    assert (sentence or "") in result.stderr


def test_the_table_of_variables_has_what_is_read_and_its_defaults() -> None:
    """What bin/render and the containers' entry read, and no other."""
    told = {
        name: default
        for name, default, _ in (
            line.split("\t")
            for line in (FOLDER / "variables.tsv").read_text().splitlines()
            if not line.startswith("#")
        )
    }
    text = (FOLDER / "bin" / "render").read_text()
    read = dict(re.findall(r"\$\{([A-Z_]+):-([^${}]*)\}", text)) | dict(
        re.findall(r"(?m)^number ([A-Z_]+) (\d+)", text)
    )
    services = {name for name in told if re.fullmatch(r"SVC_[A-Z]+_URL", name)}
    elsewhere = {"REDIS_PASSWORD", "REDIS_PASSWORD_FILE", "WATCH_HOSTS", "GATEWAY_LIMIT_*", "GATEWAY_ROUTES"}
    assert set(read) | services | elsewhere | {"SVC_NOTIFICATIONS_LIVE_URL"} == set(told)
    for name, default in read.items():
        if name not in services:
            assert told[name] in ((default, "prod") if default else ("required", "prod", "-")), name


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    result = render({"OUTPUT_DIR": str(tmp_path / "out")})
    assert len(result.stderr.splitlines()) >= 10


PROD_MISTAKES = [
    ({"TRUSTED_PROXIES": ""}, "TRUSTED_PROXIES is not set"),
    ({"TRUSTED_PROXIES": "127.0.0.0/8 ::1/128 172.16.0.0/12 192.168.0.0/16"}, "default of dev"),
    ({"TRUSTED_PROXIES": "0.0.0.0/0"}, "trusts everybody"),
    ({"TRUSTED_PROXIES": "10.0.0.0/8,::/0"}, "trusts everybody"),
] + ([({"GATEWAY_USER": ""}, "root starts the gateway in prod")] if os.getuid() == 0 else [])


@pytest.mark.parametrize(("changes", "sentence"), PROD_MISTAKES, ids=str)
def test_prod_refuses_what_only_dev_may(tmp_path: Path, changes: dict[str, str], sentence: str) -> None:
    result = render(PROD | {"OUTPUT_DIR": str(tmp_path / "out")} | changes)
    assert result.returncode == 1
    assert sentence in result.stderr


def test_prod_has_no_pages_of_development(tmp_path: Path, environment: dict[str, str]) -> None:
    prod = {"ENVIRONMENT": "prod", "TRUSTED_PROXIES": "none", "GATEWAY_USER": "root"}
    gateway = Gateway(tmp_path / "prod", environment | prod).start()
    try:
        for path in ("/dev/mail/", "/dev/payments/x", "/dev"):
            assert http.get(gateway.url + path).status_code == 404
        assert "dev-" not in (tmp_path / "prod" / "nginx.conf").read_text()
    finally:
        gateway.stop()


def test_the_password_of_redis_stands_in_no_file(tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert render(GOOD | {"OUTPUT_DIR": str(output), "REDIS_PASSWORD": "hush-hush"}).returncode == 0
    for path in output.rglob("*"):
        if path.is_file():
            assert "hush-hush" not in path.read_text()
            assert not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def test_any_folder_will_do(tmp_path: Path, environment: dict[str, str]) -> None:
    deep = tmp_path / ("a folder with blanks, brackets {x} [y] and ümlaut #1" + "/deep" * 20)
    (deep / "media").mkdir(parents=True)
    (deep / "media" / "a.txt").write_text("here")
    gateway = Gateway(deep / "run", environment | {"MEDIA_ROOT": str(deep / "media")}).start()
    try:
        assert http.get(f"{gateway.url}/media/a.txt").text == "here"
        gateway.wait_until_keys_are_read()
    finally:
        gateway.stop()


def test_rendering_twice_gives_the_same(tmp_path: Path) -> None:
    environment = GOOD | {"OUTPUT_DIR": str(tmp_path / "out")}
    render(environment)
    first = (tmp_path / "out" / "nginx.conf").read_text()
    assert render(environment).returncode == 0
    assert (tmp_path / "out" / "nginx.conf").read_text() == first


def replaced(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


CANCEL = 'route("POST", "/api/v1/orders/{id}/cancel",            { auth = "required" })'
ROUTE_MISTAKES = [
    (
        replaced('{ auth = "optional" }', '{ auth = "sometimes" }'),
        "auth must be one of optional, public, required",
    ),
    (replaced('{ auth = "optional" }', "{}"), "auth is missing"),
    (replaced('{ auth = "optional" }', '{ auth = "optional", tiemout = 3 }'), "there is no option tiemout"),
    (
        replaced('{ auth = "optional" }', '{ auth = "optional", roles = { "staff" } }'),
        'roles need auth = "required"',
    ),
    (replaced('roles = { "staff" }', 'roles = { "boss" }'), "there is no role boss"),
    (replaced('roles = { "staff" }', 'roles = "staff"'), "roles must be a list"),
    (replaced('limits = { "webhook" }', 'limits = { "hook" }'), "there is no limit hook"),
    (replaced('body = "256k"', 'body = "lots"'), "body must be a size"),
    (replaced('body = "24m"', 'body = "25m"'), "GATEWAY_BODY_MAX"),
    (replaced('time = "long"', 'time = "forever"'), "time must be one of long, normal"),
    (
        replaced(
            '"/api/v1/cart",                    { auth = "optional" }',
            '"/api/v1/cart", { auth = "public", cache = "lists" }',
        ),
        'cache needs auth = "public" and GET alone',
    ),
    (
        replaced(
            '"/api/v1/orders/shipping-methods",       { auth = "public" }',
            '"/api/v1/orders/shipping-methods",       { auth = "public", cache = "lists" }',
        ),
        "cache is for paths below /api/v1/catalog/",
    ),
    (replaced('answer = "readyz"', 'answer = "maybe"'), "answer must be one of healthz, readyz"),
    (replaced('"/api/v1/cart/lines"', '"api/v1/cart/lines"'), "a path begins with /"),
    (replaced('"/api/v1/cart/lines"', '"/api/v1//lines"'), "neither a plain segment nor {name}"),
    (replaced('"/api/v1/cart/wishlist/**"', '"/api/v1/cart/**/x"'), "/** can only be the end of a path"),
    (
        replaced('route("POST", "/api/v1/cart/lines"', 'route("FETCH", "/api/v1/cart/lines"'),
        "there is no method FETCH",
    ),
    (replaced(CANCEL, CANCEL + ", " + CANCEL), "stands already on line"),
    (replaced('"/api/v1/payments/{id}"', '"/api/v1/payments/methods"'), "stands already on line"),
    (replaced('["svc-cart"]', '["svc-basket"]'), "there is no service svc-basket"),
    (replaced("allow = 20,", "allow = 0,"), "limit user: allow, seconds and burst must be whole numbers"),
    (replaced('by = "user"', 'by = "shoe size"'), "limit user: by must be one of"),
    (replaced("return {", "return {{"), "routes.lua:"),
    (replaced("return {", "nothing.here() return {"), "attempt to index global 'nothing'"),
]


@pytest.mark.parametrize(("change", "sentence"), ROUTE_MISTAKES, ids=[row[1] for row in ROUTE_MISTAKES])
def test_a_mistake_in_the_route_table_is_a_sentence_with_its_line(
    tmp_path: Path, change: Callable[[str], str], sentence: str
) -> None:
    original = (FOLDER / "routes.lua").read_text()
    changed = change(original)
    (tmp_path / "routes.lua").write_text(changed)
    environment = GOOD | {"OUTPUT_DIR": str(tmp_path / "out"), "GATEWAY_ROUTES": str(tmp_path / "routes.lua")}
    result = render(environment)
    assert result.returncode == 1
    assert sentence in result.stderr
    assert not (tmp_path / "out" / "nginx.conf").exists()
    if not sentence.startswith(("there is no service", "limit ", "routes.lua:")):
        pairs = zip(original.splitlines(), changed.splitlines(), strict=False)
        line = next(number for number, (old, new) in enumerate(pairs, 1) if old != new)
        assert f"routes.lua line {line}: " in result.stderr or f"routes.lua:{line}: " in result.stderr


def test_an_override_of_an_unknown_limit_is_told(tmp_path: Path) -> None:
    result = render(GOOD | {"OUTPUT_DIR": str(tmp_path / "out"), "GATEWAY_LIMIT_SHOES": "1/1s burst 1"})
    assert result.returncode == 1
    assert "GATEWAY_LIMIT_SHOES: there is no such limit" in result.stderr


def test_nginx_does_not_start_with_a_bad_route_table(tmp_path: Path) -> None:
    routes = tmp_path / "routes.lua"
    routes.write_text((FOLDER / "routes.lua").read_text())
    environment = GOOD | {"OUTPUT_DIR": str(tmp_path / "out"), "GATEWAY_ROUTES": str(routes)}
    assert render(environment).returncode == 0
    routes.write_text("return {}")
    command = [NGINX, "-c", str(tmp_path / "out" / "nginx.conf"), "-p", str(tmp_path / "out"), "-e", "stderr"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert result.returncode != 0
    assert "must return a table with limits, times and the routes" in result.stderr
