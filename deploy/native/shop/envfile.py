"""`.env`: ports, secrets and settings of one stack, made once and checked at every use.

Lines are `NAME=value`; empty lines and lines that start with `#` are comments. A value is taken as it stands, without
quotes or expansion, and only of characters that Compose and this reader understand alike.
"""

import json
import os
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from shop.ports import choose_block
from shop.problems import Problem

_LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_VALUE = re.compile(r"[A-Za-z0-9_.,:/@+=~ -]*")
#: Of a service that another branch has, or of the tests: kept, so that changing branches does not change the file.
_ABSENT = re.compile(
    r"(SVC_[A-Z]+|SHARED_LIB)_(PORT|EVENTS_PORT|WORKER_PORT|SECRET_KEY|DATABASE_PASSWORD|REDIS_PASSWORD|RABBITMQ_PASSWORD)"
)
#: Of a secret that is being replaced (`shop.rotation`), and which of two logins a service has.
_ROTATION = re.compile(
    r"[A-Z_]+(?:SECRET_KEY|PASSWORD|API_KEY|WEBHOOK_SECRET)_(?:NEXT|PREVIOUS|SINCE)|SVC_[A-Z]+_(?:DATABASE|RABBITMQ)_LOGIN"
)
_GATEWAY = r"GATEWAY_(?:LIMIT_[A-Z_]+|JWKS_REFRESH_SECONDS)"
_OVERRIDE = re.compile(rf"SVC_[A-Z]+__[A-Z][A-Z0-9_]*|{_GATEWAY}")

STORE_PORTS = (
    "SUPERVISOR_PORT",
    "POSTGRES_PORT",
    "REDIS_PORT",
    "RABBITMQ_PORT",
    "RABBITMQ_DIST_PORT",
    "EPMD_PORT",
    "MAIL_SMTP_PORT",
    "MAIL_WEB_PORT",
    "TRACES_PORT",
    "SANDBOX_PORT",
    "GATEWAY_ADMIN_PORT",
)
SECRETS = {
    "POSTGRES_PASSWORD": "PostgreSQL's owner, for the runner alone",
    "AUDITOR_DATABASE_PASSWORD": "the role of `make audit`",
    "RABBITMQ_PASSWORD": "RabbitMQ's administrator, for the runner alone",
    "REDIS_PASSWORD": "Redis's administrator, for the runner alone",
    "SUPERVISOR_PASSWORD": "the supervisor of host processes",
    "GATEWAY_REDIS_PASSWORD": "the gateway's user at Redis",
    "SANDBOX_API_KEY": "what svc-payments bears when it calls the sandbox provider",
    "SANDBOX_WEBHOOK_SECRET": "what the sandbox provider signs its webhooks with",
}
#: Where the web process of a service answers, and where events and worker tell their metrics.
SERVICE_PORTS = ("PORT", "EVENTS_PORT", "WORKER_PORT")
SERVICE_SECRETS = {
    "SECRET_KEY": "Django's key",
    "DATABASE_PASSWORD": "the PostgreSQL role",
    "REDIS_PASSWORD": "the Redis user",
    "RABBITMQ_PASSWORD": "the RabbitMQ user",
}


def prefix(service: str) -> str:
    """`SVC_ORDERS` of `svc-orders`."""
    return service.upper().replace("-", "_")


def for_gateway(env: dict[str, str]) -> dict[str, str]:
    """Settings that the gateway itself checks."""
    return {name: value for name, value in env.items() if re.fullmatch(_GATEWAY, name)}


def _port(value: str) -> str | None:
    return None if value.isdigit() and 1 <= int(value) <= 65535 else "a port from 1 to 65535"


def _secret(value: str) -> str | None:
    return None if re.fullmatch(r"[A-Za-z0-9_-]{16,128}", value) else "16 to 128 letters, digits, - or _"


def _password(value: str) -> str | None:
    return (
        None
        if re.fullmatch(r"[A-Za-z0-9_.@+=~-]{8,128}", value)
        else "8 to 128 letters, digits or . @ + = ~ - _"
    )


def _currency(value: str) -> str | None:
    return None if re.fullmatch(r"[A-Z]{3}", value) else "an ISO 4217 code such as USD"


def _level(value: str) -> str | None:
    return None if value in {"DEBUG", "INFO", "WARNING", "ERROR"} else "DEBUG, INFO, WARNING or ERROR"


def _ratio(value: str) -> str | None:
    good = re.fullmatch(r"0|1|0?\.[0-9]{1,6}|[01]\.0{1,6}", value)
    return None if good else "the share of requests that are traced, from 0 to 1"


def _ip(value: str) -> str | None:
    return (
        None if re.fullmatch(r"[0-9.]+|\[[0-9a-fA-F:]+\]", value) else "an IP address (0.0.0.0 for every one)"
    )


def _url(value: str) -> str | None:
    return None if re.fullmatch(r"https?://[^\s/]+(/\S*)?", value) else "an http or https URL"


def _address(value: str) -> str | None:
    return None if re.fullmatch(r"[^\s@]+@[^\s@]+", value) else "an e-mail address"


@dataclass(frozen=True)
class Key:
    """One name in `.env`: its first value, what is wrong with another, where it stands and what it does."""

    make: Callable[[], str]
    check: Callable[[str], str | None]
    heading: str
    text: str
    secret: bool = False


def known_keys(services: Iterable[str]) -> dict[str, Key]:
    """Every name that `.env` may hold, in the order in which it is written."""

    def secret() -> str:
        return secrets.token_urlsafe(40)

    keys = {
        "GATEWAY_PORT": Key(lambda: "8080", _port, "Where the shop answers", "the port of the shop"),
        "GATEWAY_HOST": Key(
            lambda: "127.0.0.1", _ip, "Where the shop answers", "its address; 0.0.0.0 opens it to others"
        ),
        "DEMO_PASSWORD": Key(
            lambda: secrets.token_urlsafe(9),
            _password,
            "Logins: buyer@example.com, seller@example.com, admin@example.com",
            "what the seed gives the demo logins",
            secret=True,
        ),
        "SHOP_CURRENCY": Key(lambda: "USD", _currency, "Settings", "the currency of the shop"),
        "LOG_LEVEL": Key(lambda: "INFO", _level, "Settings", "the least that is logged"),
        "TRACE_RATIO": Key(lambda: "1", _ratio, "Settings", "the share of requests that are traced"),
        "STOREFRONT_URL": Key(lambda: "http://localhost:3000", _url, "Settings", "where links in mails lead"),
        "EMAIL_FROM": Key(lambda: "shop@example.com", _address, "Settings", "whom mails are from"),
    }
    ports = [f"{prefix(service)}_{suffix}" for service in services for suffix in SERVICE_PORTS]
    for name in (*STORE_PORTS, *ports):
        heading = "Ports inside, on the loopback address; change any that collides"
        keys[name] = Key(str, _port, heading, "a port inside")
    for name, text in SECRETS.items():
        keys[name] = Key(secret, _secret, "Secrets", text, secret=True)
    for service in services:
        for suffix, text in SERVICE_SECRETS.items():
            keys[f"{prefix(service)}_{suffix}"] = Key(
                secret, _secret, "Secrets", f"{text} of {service}", secret=True
            )
    return keys


def parse(text: str, path: Path) -> dict[str, str]:
    """Names and values; raises Problem with the line that is no `NAME=value`, or stands twice."""
    values: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if not match:
            raise Problem(f"{path}, line {number}: {line.split('=')[0][:40]!r} is not NAME=value.")
        name, value = match[1], match[2].strip()
        if not _VALUE.fullmatch(value):
            raise Problem(
                f"{path}, line {number}: the value of {name} has a character that is not a letter, a digit or one"
                " of _ . , : / @ + = ~ - (quotes are not needed)."
            )
        if name in values:
            raise Problem(f"{path}, line {number}: {name} stands twice; remove one.")
        values[name] = value
    return values


def check(values: dict[str, str], keys: dict[str, Key], path: Path) -> None:
    """Raise Problem for a name nobody reads, a malformed value, or one port given twice."""
    ports: dict[str, str] = {}
    for name, value in values.items():
        if name not in keys:
            if _ROTATION.fullmatch(name):
                continue
            if _OVERRIDE.fullmatch(name) or _ABSENT.fullmatch(name):
                _check_override(name, path)
                continue
            raise Problem(
                f"{path}: {name} is not a setting of the shop; remove the line (a setting of one service is"
                " written SVC_NAME__SETTING=value)."
            )
        wanted = keys[name].check(value)
        if wanted:
            raise Problem(f"{path}: {name} must be {wanted}.")
        if name.endswith("_PORT"):
            if value in ports:
                raise Problem(
                    f"{path}: {name} and {ports[value]} are both {value}; every port must be different."
                )
            ports[value] = name


def _check_override(name: str, path: Path) -> None:
    """Raise Problem for a setting of one service that this service does not read."""
    service, _, setting = name.partition("__")
    known: list[str] | None = _service_settings().get(service.lower().replace("_", "-"))
    if not setting or known is None or setting in known:
        return
    meant = get_close_matches(setting, known, n=1)
    raise Problem(
        f"{path}: {name} is nothing that {service.lower().replace('_', '-')} reads"
        f"{f'; {meant[0]} is' if meant else ''}: docs/settings.md lists what it does."
    )


@cache
def _service_settings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(Path(__file__).with_name("service_settings.json").read_text())
    return found


def render(values: dict[str, str], keys: dict[str, Key]) -> str:
    """The text of a new file, under headings."""
    lines = ["# Made by `make up`. Never commit it: `make clean` removes it, `make up` makes a new one."]
    heading = None
    for name, key in keys.items():
        if key.heading != heading:
            heading = key.heading
            lines += ["", f"# {heading}"]
        lines.append(f"{name}={values[name]}")
    return "\n".join(lines) + "\n"


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step, readable by its owner only."""
    temporary = path.with_name(f"{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def load(path: Path, services: list[str]) -> dict[str, str] | None:
    """The checked values of an existing file; None if there is none. Names it does not have yet stay missing."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{path} cannot be read ({error}); make it readable or remove it.") from None
    values = parse(text, path)
    check(values, known_keys(services), path)
    return values


def accepted(env: dict[str, str], name: str) -> list[str]:
    """Every value of a secret that counts now: more than one while it is replaced."""
    values = (env.get(name), env.get(f"{name}_NEXT"), env.get(f"{name}_PREVIOUS"))
    return [value for value in values if value]


def change(path: Path, env: dict[str, str], given: dict[str, str], *gone: str) -> None:
    """Write these values into the file and into `env`, in one step, and take others out of both."""
    text = path.read_text()
    for name in (*gone, *given):
        text = re.sub(rf"(?m)^\s*{name}=.*\n?", "", text) if name in gone or name not in env else text
    for name, value in given.items():
        if name in env:
            text = re.sub(rf"(?m)^\s*{name}=.*$", f"{name}={value}", text)
        else:
            text = text.rstrip("\n") + f"\n{name}={value}\n"
    write_private(path, text)
    env.update(given)
    for name in gone:
        env.pop(name, None)


def complete(path: Path, services: list[str], given: dict[str, str]) -> dict[str, str]:
    """The values of `.env`; makes the file, or adds what a newer version of the shop needs.

    `given` are values that a person named on the command line: they win over the file and are written into it.
    """
    keys = known_keys(services)
    old = load(path, services)
    values = {**(old or {}), **given}
    missing = [name for name in keys if name not in values]
    if old is not None and not missing and values == old:
        return values
    ports = [name for name in missing if name.endswith("_PORT") and name != "GATEWAY_PORT"]
    # Those that the file or the caller names count as taken, though nothing listens on them while the stack is down.
    check(values, keys, path)
    taken = {int(value) for name, value in values.items() if name.endswith("_PORT") and value.isdecimal()}
    block = iter(choose_block(len(ports), taken) if ports else [])
    for name in missing:
        values[name] = str(next(block)) if name in ports else keys[name].make()
    check(values, keys, path)
    overrides = "".join(f"{name}={value}\n" for name, value in values.items() if name not in keys)
    if old is None:
        text = render(values, keys) + overrides
    else:
        text = re.sub(r"(?m)^\s*([A-Za-z_]\w*)=.*$", lambda m: f"{m[1]}={values[m[1]]}", path.read_text())
        text = (
            text.rstrip("\n")
            + "\n"
            + "".join(f"{name}={value}\n" for name, value in values.items() if name not in old)
        )
    try:
        write_private(path, text)
    except OSError as error:
        raise Problem(
            f"{path} cannot be written ({error.strerror}): choose a folder you can write."
        ) from None
    return values
