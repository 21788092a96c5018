"""Everything that the table of settings holds, collected from the code."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
sys.path[:0] = [str(DEPLOY), str(DEPLOY / "native"), str(ROOT / "svc-payments")]

#: Libraries that a service gives its environment to.
LIBRARIES = {
    "svc-catalog": {
        "AWS_ACCESS_KEY_ID": "the bucket's credentials; boto3 reads them, or finds them by its own chain",
        "AWS_SECRET_ACCESS_KEY": "secret; as above",
    }
}
#: What a person sets on the command line: `make test SERVICE=svc-cart`. Name, what must hold, default, meaning.
COMMAND_LINE = (
    ("RUNTIME", "docker or native", "what runs, else what the machine has", "what the shop runs as"),
    ("SERVICE", "a service, program or suite", "all", "what a verb is about"),
    ("SECRET", "names, separated by commas", "-", "`rotate`: which secrets, or `all`"),
    ("NOW", "1", "-", "`rotate`: what the old value signed ends at once"),
    (
        "VERSION",
        "a version such as 1.2.0",
        "-",
        "`release`: what the release is called; `upgrade`: the one to run",
    ),
    ("MANIFESTS", "the path of a folder", "of the shop that runs", "`release`: what runs, as files"),
    ("AGAINST", "an absolute URL", "the shop that runs here", "`release`: the shop that is asked what runs"),
    ("TESTS", "skip", "-", "`release`: without its tests"),
    ("DIRTY", "allow", "-", "`release`: of a tree with changes that are not committed"),
    (
        "SHOP_READY_SECONDS",
        "a whole number from 1 to 3600",
        "120",
        "`restart`, `upgrade`, `rollback`: how long a new web may take to get ready",
    ),
    ("BACKUP", "the path of a folder", "the newest", "`restore`: the backup"),
    ("FORCE", "1", "-", "`restore`: throws away what the stack holds"),
    ("ARGS", "text", "-", "further arguments of `audit` and of the benchmarks"),
    (
        "SHOP_PYTHON",
        "the path of a Python, 3.11 or newer",
        "-",
        "what the shop runs with, outside containers; else `/usr/bin/python3` if new enough, else `python3` of PATH",
    ),
    ("SHOP_STATE_DIR", "the path of a folder", ".local", "where a stack keeps everything it writes"),
    ("SHOP_ENV_FILE", "the path of a file", ".env", "where a stack keeps its settings and secrets"),
    (
        "SEED",
        "a whole number",
        "drawn",
        "`test-faults`, `test`: the random numbers of a run, to have it again",
    ),
    ("CHECKOUTS", "a whole number", "of the scenario", "`test-faults`: how many purchases"),
    ("SCENARIO", "names, separated by commas", "all", "`test-faults`: which"),
    ("BREAK", "names, separated by commas", "all", "`test-breaks`: which mistakes"),
    ("SHOP_API_CASES", "a whole number", "150", "`test SERVICE=tests`: cases for each operation of the API"),
    ("SHOP_API_SEED", "a whole number", "1", "its random numbers"),
    ("SHOP_LIVES", "a whole number", "2", "`test SERVICE=tests`: random lives"),
    ("SHOP_LIVES_SEED", "a whole number", "1", "their random numbers"),
    ("SHOP_DEMO_AFTER_EACH", "1", "-", "whether a demo purchase follows each kill of the runner's tests"),
    (
        "SHOP_BASE_URL",
        "an absolute URL",
        "http://localhost:8080",
        "`tests/demo.py` called by itself: the shop",
    ),
    ("SHOP_CLIENT_ADDRESS", "an IP address", "-", "the same: for whom the client claims to speak"),
    (
        "SHOP_SEQUENCES",
        "a whole number",
        "of the test",
        "`test`: random sequences that carts, orders and payments go through",
    ),
    ("ORDER", "an id or a number", "-", "`trace`: the order"),
    ("REQUEST", "text", "-", "`trace`: the X-Request-Id, instead of an order"),
    ("PROMETHEUS_PORT", "a port", "9090", "`prometheus`: where it listens"),
    ("MIRROR", "an absolute URL", "apt's", "`deploy/docker/bases.sh`: the mirror of Debian"),
    ("GATEWAY_IMAGE", "text", "shop/gateway:dev", "`deploy/docker/test-gateway.sh`: the image to test"),
)
#: What docker-compose.yml takes from the environment beside `.env`.
COMPOSE = {
    "SHOP_PROJECT": "Compose's name of the stack; the runner makes one for each clone",
    "SHOP_STATE_DIR": "where the runner keeps secrets and settings",
    "SHOP_VERSION": "tag of the images that are built",
    "SHOP_IMAGES": "prefix of their names",
    **{
        f"SVC_{name}_VERSION": "tag of this service's image; the runner sets it to the release that runs"
        for name in ("ACCOUNTS", "CATALOG", "CART", "ORDERS", "PAYMENTS", "NOTIFICATIONS")
    },
    "PYTHON_IMAGE": "what the services, the mail catcher and the pages are built from",
    "DEBIAN_IMAGE": "what the gateway is built from",
    "POSTGRES_IMAGE": "PostgreSQL",
    "REDIS_IMAGE": "Redis",
    "RABBITMQ_IMAGE": "RabbitMQ",
    "MAIL_WEB_URL": "the mail catcher; empty without the profile `dev`",
    "SANDBOX_URL": "the sandbox provider; empty without the profile `dev`",
    "COLLECTOR_URL": "the collector of traces; empty without the profile `dev`",
    "DEV_HOSTS": "the containers of the profile `dev`; empty without it",
}
#: What programs set for their own children or for their tests; nobody else does.
INTERNAL = frozenset(
    (
        *("DJANGO_SETTINGS_MODULE", "CELERY_SKIP_CHECKS", "SHOP_WEB_MASTER", "SHOP_STATE", "PATH", "HOME"),
        *("SHOP_FAILPOINTS", "SHOP_FAULT_REPORTS", "SHOP_PROXY_CONTROL", "BENCH_ORDERS_DATABASE"),
        *("BENCH_DATABASE", "BENCH_BROKER"),
        *("LISTEN_FDS", "LISTEN_PID", "READY_FD"),
        *("BENCH_PUBLIC_KEY", "HEALTHCHECK_AMQP_PORT", "SVC_ORDERS_POSTGRES_PORT"),
        *("SVC_PAYMENTS_POSTGRES_PORT", "SHOP_DOORS_FILE", "SHOP_PROCESS", "SUPERVISOR_PASSWORD_NEXT"),
        "PYTHONPYCACHEPREFIX",
    )
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One variable; `required` is "yes", "no", "in prod" or "if ..."."""

    name: str
    wanted: str
    default: str = ""
    required: str = "no"
    secret: bool = False
    text: str


@dataclass(frozen=True, kw_only=True)
class Section:
    title: str
    text: str
    rows: list[Row] = field(default_factory=list)


def services() -> list[str]:
    return sorted(path.parent.name for path in ROOT.glob("svc-*/manage.py"))


def read_by(service: str) -> list[Row]:
    """What a service's processes read, as they tell it."""
    done = subprocess.run(
        [sys.executable, "-m", "envdocs.collect"],
        cwd=ROOT / service,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONPATH": str(DEPLOY)}
        | {name: value for name, value in os.environ.items() if name == "PYTHONPYCACHEPREFIX"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"The settings of {service} cannot be loaded:\n{done.stderr}")
    rows = [_row(setting) for setting in json.loads(done.stdout)]
    for name, text in LIBRARIES.get(service, {}).items():
        rows.append(Row(name=name, wanted="text", secret=text.startswith("secret"), text=_plain(text)))
    return rows


def _row(setting: dict[str, object]) -> Row:
    name, when = str(setting["name"]), str(setting["when"])
    if not setting["help"]:
        raise RuntimeError(f'{name} has no meaning: env.…("{name}", help="…") gives it one.')
    required = "no" if not setting["required"] else f"if {when}" if when else "yes"
    text = f"{setting['only']}: {setting['help']}" if setting["only"] else str(setting["help"])
    default = re.sub(
        r"http://([A-Z_]+)", r"\1", "" if setting["default"] is None else str(setting["default"])
    )
    if when and not setting["required"]:
        text += f" (if {when})"
    return Row(
        name=name,
        wanted=str(setting["wanted"]),
        default=default,
        required=required,
        secret=bool(setting["secret"]),
        text=text,
    )


def gateway() -> list[Row]:
    rows = []
    script = (ROOT / "gateway" / "bin" / "render").read_text()
    ranges = {name: rest for name, *rest in re.findall(r"(?m)^number ([A-Z_]+) \d+ (\d+) (\d+)", script)}
    for line in (ROOT / "gateway" / "variables.tsv").read_text().splitlines():
        if line.startswith("#"):
            continue
        name, default, text = line.split("\t")
        required = {"required": "yes", "prod": "in prod"}.get(default, "no")
        shown = "" if default in ("required", "prod", "-") else default
        secret = text.startswith("secret")
        rows.append(
            Row(
                name=name,
                wanted=f"a whole number from {ranges[name][0]} to {ranges[name][1]}"
                if name in ranges
                else "",
                default=shown,
                required=required,
                secret=secret,
                text=_plain(text),
            )
        )
    return rows


def _plain(text: str) -> str:
    return text.removeprefix("secret; ")


def sections() -> list[Section]:
    """All of it; raises RuntimeError where a variable has no meaning."""
    names = services()
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(names, pool.map(read_by, names), strict=True))
    common = [row for row in found[names[0]] if all(row in rows for rows in found.values())]
    every = Section(
        title="Every service",
        text="`web`, `events` and `worker` of each; a word and a colon name the one process that reads it. Each may come as a"
        " file: where `NAME` is not set, `NAME_FILE` names the file that holds it.",
        rows=common,
    )
    own = [
        Section(
            title=service,
            text="Beside those of every service. In `.env` of the local stack: "
            f"`{service.upper().replace('-', '_')}__NAME=value`.",
            rows=[row for row in rows if row not in common],
        )
        for service, rows in found.items()
    ]
    return [every, *own, *_others(names)]


def _others(names: list[str]) -> Iterable[Section]:
    from audit.cli import variable
    from mail.settings import VARIABLES as MAIL
    from shop.envfile import known_keys
    from traces.settings import VARIABLES as TRACES

    yield Section(title="The gateway", text="`gateway/bin/render` checks them.", rows=gateway())
    yield Section(
        title="The sandbox provider",
        text="Of dev and tests; the two secrets may come as files.",
        rows=_defaulted(import_module("sandbox.settings").VARIABLES),
    )
    yield Section(
        title="The mail catcher",
        text="Of dev and tests.",
        rows=[Row(name=name, wanted="", required="yes", text=text) for name, text in MAIL.items()],
    )
    yield Section(title="The collector of traces", text="Of dev and tests.", rows=_defaulted(TRACES))
    yield Section(
        title="The audit",
        text="`make audit` sets them; each may come as a file.",
        rows=[
            Row(
                name=variable(name),
                wanted="a postgresql:// URL",
                required="yes",
                secret=True,
                text=f"the database of {name}, for the role that may only read",
            )
            for name in names
        ],
    )
    yield Section(
        title="`.env` of the local stack",
        text="Made once by `make up`, with a value for each; a name that is not here is refused. `SVC_CART__NAME=value` is the"
        " setting `NAME` of svc-cart alone, and `GATEWAY_LIMIT_*` and `GATEWAY_JWKS_REFRESH_SECONDS` are the gateway's.",
        rows=[
            Row(
                name=name,
                wanted=key.check("\0") or "",
                default="drawn" if key.secret else "free" if key.make is str else key.make(),
                secret=key.secret,
                text=key.text,
            )
            for name, key in known_keys(names).items()
        ],
    )
    yield Section(
        title="Command line",
        text="`make VERB NAME=value`. `GATEWAY_PORT` too, which `.env` keeps.",
        rows=[
            Row(name=name, wanted=wanted, default=default.strip("-"), text=text)
            for name, wanted, default, text in COMMAND_LINE
        ],
    )
    yield Section(
        title="docker-compose.yml",
        text="And of `.env`: what is there too.",
        rows=[
            Row(name=name, wanted="text", default=_interpolated().get(name, ""), text=text)
            for name, text in COMPOSE.items()
        ],
    )


def _defaulted(variables: dict[str, tuple[str | None, str]]) -> list[Row]:
    """By name: the default, None where there must be a value, and the meaning."""
    return [
        Row(
            name=name,
            wanted="",
            default=default or "",
            required="yes" if default is None else "no",
            secret=text.startswith("secret"),
            text=_plain(text),
        )
        for name, (default, text) in variables.items()
    ]


def _interpolated() -> dict[str, str]:
    """Names and defaults that docker-compose.yml takes from its environment."""
    text = (ROOT / "docker-compose.yml").read_text()
    return dict(re.findall(r"\$\{([A-Z_]+):?-([^}]*)\}", text))
