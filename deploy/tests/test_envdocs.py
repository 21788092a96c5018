"""The table of settings is what the code says, and a mistake in any of them is a sentence that names the variable."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from shop.envfile import check, known_keys
from shop.problems import Problem

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy"))

from envdocs import catalogue  # noqa: E402
from envdocs.build import NAMES, PAGE, names, page  # noqa: E402
from envdocs.collect import harmless  # noqa: E402

SERVICES = catalogue.services()


@pytest.fixture(scope="module")
def sections() -> list[catalogue.Section]:
    return catalogue.sections()


def test_the_committed_table_is_what_the_code_says(sections):
    assert PAGE.read_text() == page(sections), "run `make settings-docs`"
    assert NAMES.read_text() == names(sections), "run `make settings-docs`"


def test_every_variable_that_is_read_by_its_name_is_in_the_table(sections):
    known = {row.name for section in sections for row in section.rows} | catalogue.INTERNAL
    folders = ("deploy", "tests", "svc-*", "shared-lib/src", "gateway/bench")
    reads = re.compile(
        r"environ(?:\.get|\.pop)?[\[(]\s*\"([A-Z][A-Z0-9_]+)\"|env\.[a-z]+\(\s*\"([A-Z][A-Z0-9_]+)\""
    )
    read: dict[str, Path] = {}
    for path in (path for folder in folders for path in ROOT.glob(f"{folder}/**/*.py")):
        if "tests" in path.relative_to(ROOT).parts[1:] and path.name.startswith("test_envdocs"):
            continue
        read |= {first or second: path for first, second in reads.findall(path.read_text())}
    testing = {"SHOP_TEST_VALUE", "SHOP_TEST_EVENT_HANDLERS"}
    assert len(read) > 60
    assert {name: str(path) for name, path in read.items() if name not in known | testing} == {}


def test_compose_and_charts_set_what_somebody_reads(sections):
    known = {row.name for section in sections for row in section.rows}
    compose = (ROOT / "docker-compose.yml").read_text()
    assert set(re.findall(r"\$\{([A-Z_]+)", compose)) <= known
    by_title = {section.title: {row.name for row in section.rows} for section in sections}
    charts = yaml.safe_load((ROOT / "k8s" / "schema" / "variables.yaml").read_text())
    for service in SERVICES:
        wanted = {
            name
            for part in (charts["every"], charts[service])
            for kind in ("settings", "webSettings", "workerSettings", "secrets", "files", "keys")
            for name in part.get(kind, ())
        }
        assert wanted <= by_title["Every service"] | by_title[service], service


def test_no_setting_passes_for_a_misspelt_one_of_another_program(sections):
    from shared_lib.settings.environment import misspelt

    every = {row.name for section in sections for row in section.rows}
    for section in sections[:7]:
        known = {row.name for row in (*sections[0].rows, *section.rows)}
        assert misspelt(every, known) == {}, section.title


def start(service: str, folder: Path, *command: str, **changes: str | None) -> tuple[int, str]:
    """Exit code and output of a process of a service, with a good environment but for the changes."""
    given = {**harmless(folder), "PATH": os.environ["PATH"], **changes}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT / service,
        env={name: value for name, value in given.items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


WEB = ("-m", "shared_lib.server", "web")
MANAGE = ("manage.py", "migrate")
LOADED = "import config.settings; from shared_lib.settings import env; env.refuse_misspelt()"
#: Each service by one way or the other, so that both are tried often and all of it stays quick.
MISTAKES = [
    ("svc-accounts", WEB, {"JWT_SIGNING_KEY_FILE": None}, '"JWT_SIGNING_KEY_FILE" is not set'),
    (
        "svc-accounts",
        MANAGE,
        {"ACCESS_TOKEN_SECOND": "60"},
        '"ACCESS_TOKEN_SECOND" is not a setting here; ACCESS_TOKEN_SECONDS is',
    ),
    (
        "svc-catalog",
        WEB,
        {"STOCK_LOW_THRESHOLD": "-1"},
        '"STOCK_LOW_THRESHOLD" must be a whole number, 0 or more.',
    ),
    ("svc-catalog", WEB, {"MEDIA_STORAGE": "ftp"}, '"MEDIA_STORAGE" must be filesystem or s3.'),
    ("svc-cart", WEB, {"CART_GUEST_DAY": "3"}, '"CART_GUEST_DAY" is not a setting here; CART_GUEST_DAYS is'),
    ("svc-cart", MANAGE, {"DATABASE_URL": None}, '"DATABASE_URL" is not set, and there is no default.'),
    (
        "svc-orders",
        WEB,
        {"ORDER_RETURN_DAYS": "many"},
        '"ORDER_RETURN_DAYS" must be a whole number, 0 or more.',
    ),
    ("svc-orders", WEB, {"WEB_WORKER": "2"}, "WEB_WORKERS is"),
    ("svc-orders", MANAGE, {"REDIS_URL": "http://hush"}, '"REDIS_URL" must be a redis:// or rediss:// URL.'),
    ("svc-payments", WEB, {"SANDBOX_API_KEY": ""}, '"SANDBOX_API_KEY" is empty'),
    ("svc-payments", WEB, {"PORT": "70000"}, '"PORT" must be a whole number from 1 to 65535.'),
    ("svc-notifications", WEB, {"EMAIL_FROM": None}, '"EMAIL_FROM" is not set'),
    ("svc-notifications", MANAGE, {"LOG_LEVEL": "LOUD"}, "must be DEBUG, INFO, WARNING, ERROR or CRITICAL."),
]


@pytest.mark.parametrize(("service", "command", "changes", "sentence"), MISTAKES)
def test_a_process_with_a_wrong_setting_ends_with_one_sentence(tmp_path, service, command, changes, sentence):
    code, said = start(service, tmp_path, *command, **changes)
    assert code == 1
    assert sentence in said
    assert len(said.splitlines()) == 1, said
    assert "hush" not in said


@pytest.mark.parametrize("service", SERVICES)
def test_what_belongs_to_others_is_no_mistake(tmp_path, service):
    strangers = {
        "EDITOR": "vi",
        "HOSTNAME": "a",
        "KUBERNETES_PORT": "tcp://a:1",
        "LC_ALL": "C",
        "SSH_TTY": "/dev/x",
    }
    code, said = start(service, tmp_path, "-c", LOADED, **strangers)
    assert code == 0, said


def test_a_setting_of_one_service_in_env_that_it_does_not_read_is_a_sentence(tmp_path):
    keys = known_keys(SERVICES)
    check({"SVC_CART__CART_GUEST_DAYS": "3", "SVC_CART__WEB_WORKERS": "2"}, keys, tmp_path)
    with pytest.raises(
        Problem, match="SVC_CART__CART_GUEST_DAY is nothing that svc-cart reads; CART_GUEST_DAYS is"
    ):
        check({"SVC_CART__CART_GUEST_DAY": "3"}, keys, tmp_path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"MAIL_FOLDER": None}, '"MAIL_FOLDER" is not set'),
        ({"MAIL_WEB_PORT": "http"}, '"MAIL_WEB_PORT" must be a port'),
        ({"MAIL_FOLDERS": "/x"}, '"MAIL_FOLDERS" is not a setting of the mail catcher; MAIL_FOLDER is'),
    ],
)
def test_the_mail_catcher_says_what_is_wrong(changes, sentence):
    from mail.settings import BadSettings, Settings

    good = {"MAIL_HOST": "127.0.0.1", "MAIL_SMTP_PORT": "1", "MAIL_WEB_PORT": "2", "MAIL_FOLDER": "/nowhere"}
    assert Settings.of(good).smtp_port == 1
    with pytest.raises(BadSettings, match=sentence):
        Settings.of({name: value for name, value in {**good, **changes}.items() if value is not None})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"TRACES_FILE": None}, '"TRACES_FILE" is not set'),
        ({"TRACES_PORT": "65536"}, '"TRACES_PORT" must be a whole number from 1 to 65535'),
        ({"TRACES_MOST_SPANS": "many"}, '"TRACES_MOST_SPANS" must be a whole number'),
        (
            {"TRACES_FILES": "/x"},
            '"TRACES_FILES" is not a setting of the collector of traces; TRACES_FILE is',
        ),
    ],
)
def test_the_collector_of_traces_says_what_is_wrong(changes, sentence):
    from traces.settings import BadSettings, Settings

    good = {"TRACES_HOST": "127.0.0.1", "TRACES_PORT": "1", "TRACES_FILE": "/nowhere"}
    assert Settings.of(good).most_spans == 200_000
    with pytest.raises(BadSettings, match=sentence):
        Settings.of({name: value for name, value in {**good, **changes}.items() if value is not None})
