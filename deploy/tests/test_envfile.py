"""`.env`: made once, checked at every use, never silently changed."""

import random
from pathlib import Path

import pytest

from shop import envfile, ports
from shop.problems import Problem

SERVICES = ["svc-cart", "svc-orders"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "env"


def replace(path: Path, name: str, value: str) -> None:
    lines = path.read_text().splitlines()
    path.write_text("\n".join(f"{name}={value}" if line.startswith(f"{name}=") else line for line in lines))


def test_the_first_start_makes_every_name_and_the_second_changes_nothing(path: Path) -> None:
    made = envfile.complete(path, SERVICES, {})
    assert made["GATEWAY_PORT"] == "8080"
    before = path.read_bytes()
    assert envfile.complete(path, SERVICES, {}) == made
    assert path.read_bytes() == before


def test_only_its_owner_can_read_it(path: Path) -> None:
    envfile.complete(path, SERVICES, {})
    assert path.stat().st_mode & 0o777 == 0o600


def test_secrets_differ_between_stacks_and_between_services(path: Path, tmp_path: Path) -> None:
    one = envfile.complete(path, SERVICES, {})
    other = envfile.complete(tmp_path / "other", SERVICES, {})
    secret = [name for name in one if name.endswith(("_PASSWORD", "_SECRET", "_KEY"))]
    assert len(secret) == len({one[name] for name in secret})
    assert not {one[name] for name in secret} & {other[name] for name in secret}


def test_inner_ports_lie_below_the_range_of_outgoing_connections(path: Path) -> None:
    made = envfile.complete(path, SERVICES, {})
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    inner = [int(value) for name, value in made.items() if name.endswith("_PORT") and name != "GATEWAY_PORT"]
    assert len(inner) == len(set(inner))
    assert max(inner) < lowest


def test_a_port_named_on_the_command_line_wins_and_is_kept(path: Path) -> None:
    envfile.complete(path, SERVICES, {})
    assert envfile.complete(path, SERVICES, {"GATEWAY_PORT": "9090"})["GATEWAY_PORT"] == "9090"
    assert envfile.complete(path, SERVICES, {})["GATEWAY_PORT"] == "9090"


def test_a_port_that_is_given_or_kept_is_given_to_nobody_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "shuffle", lambda bases: None)
    (first,) = ports.choose_block(1)
    made = envfile.complete(path, SERVICES, {"GATEWAY_PORT": str(first + 3)})
    assert made["GATEWAY_PORT"] == str(first + 3)
    path.write_text(
        "".join(line for line in path.read_text().splitlines(True) if "MAIL_WEB_PORT" not in line)
    )
    again = envfile.complete(path, SERVICES, {})
    chosen = [value for name, value in again.items() if name.endswith("_PORT")]
    assert len(chosen) == len(set(chosen))
    assert made.items() - again.items() <= {("MAIL_WEB_PORT", made["MAIL_WEB_PORT"])}


def test_a_setting_of_one_service_that_is_given_later_is_written_too(path: Path) -> None:
    envfile.complete(path, SERVICES, {})
    name = f"{envfile.prefix(SERVICES[0])}__LOG_LEVEL"
    envfile.complete(path, SERVICES, {name: "DEBUG"})
    assert envfile.complete(path, SERVICES, {})[name] == "DEBUG"


def test_a_new_service_gets_its_names_and_the_old_ones_keep_their_values(path: Path) -> None:
    before = envfile.complete(path, SERVICES[:1], {})
    after = envfile.complete(path, SERVICES, {})
    assert before.items() <= after.items()
    assert "SVC_ORDERS_SECRET_KEY" in after


def test_what_a_person_wrote_stays_where_it_is(path: Path) -> None:
    envfile.complete(path, SERVICES, {})
    replace(path, "LOG_LEVEL", "DEBUG")
    path.write_text("# mine\n" + path.read_text() + "\nSVC_ORDERS__ORDER_PAYMENT_WINDOW_SECONDS=60\n")
    values = envfile.complete(path, [*SERVICES, "svc-new"], {})
    assert path.read_text().startswith("# mine\n")
    assert (values["LOG_LEVEL"], values["SVC_ORDERS__ORDER_PAYMENT_WINDOW_SECONDS"]) == ("DEBUG", "60")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("GATEWAY_PORT", "eighty", "GATEWAY_PORT must be a port from 1 to 65535"),
        ("GATEWAY_PORT", "70000", "GATEWAY_PORT must be a port from 1 to 65535"),
        ("REDIS_PORT", "", "REDIS_PORT must be a port"),
        ("LOG_LEVEL", "LOUD", "LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR"),
        ("SHOP_CURRENCY", "usd", "SHOP_CURRENCY must be an ISO 4217 code"),
        ("STOREFRONT_URL", "localhost:3000", "STOREFRONT_URL must be an http or https URL"),
        ("POSTGRES_PASSWORD", "short", "POSTGRES_PASSWORD must be 16 to 128"),
        ("DEMO_PASSWORD", "with$dollar", "line"),
    ],
)
def test_a_malformed_value_is_a_sentence_with_its_name(path: Path, name: str, value: str, said: str) -> None:
    envfile.complete(path, SERVICES, {})
    replace(path, name, value)
    with pytest.raises(Problem, match=said):
        envfile.complete(path, SERVICES, {})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("export A", "is not NAME=value"),
        ("GATEWAY_PROT=1", "GATEWAY_PROT is not a setting of the shop"),
        ("GATEWAY_PORT=8081", "stands twice"),
    ],
)
def test_a_line_that_nobody_reads_is_a_sentence(path: Path, line: str, said: str) -> None:
    envfile.complete(path, SERVICES, {})
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(Problem, match=said):
        envfile.complete(path, SERVICES, {})


def test_one_port_given_twice_is_a_sentence(path: Path) -> None:
    values = envfile.complete(path, SERVICES, {})
    replace(path, "REDIS_PORT", values["POSTGRES_PORT"])
    with pytest.raises(Problem, match="REDIS_PORT and POSTGRES_PORT are both"):
        envfile.complete(path, SERVICES, {})


def test_a_message_about_a_bad_line_does_not_show_a_secret(path: Path) -> None:
    path.write_text("POSTGRES_PASSWORD='hunter2hunter2hunter2'\n")
    with pytest.raises(Problem) as caught:
        envfile.complete(path, SERVICES, {})
    assert "hunter2" not in str(caught.value)
