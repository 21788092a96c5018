"""docker-compose.yml and the images, as far as they can be judged without an engine."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from containers import doors, engine, files
from shop import services
from shop.envfile import complete
from shop.layout import Layout

ROOT = Path(__file__).resolve().parents[2]
SERVICES = services.discover(ROOT)
STORES = {"redis", "rabbitmq", *(f"postgres-{name.removeprefix('svc-')}" for name in SERVICES)}
JOBS = ("-migrate", "-seed")
AUDIT = "audit"
#: Read by the image or Python itself, not by settings.
OF_THE_IMAGE = {"HOST", "PORT"}
READ = re.compile(
    r"""(?:env\.\w+|_secret|environ\.get|environ\[|_text\(environ,|_url\(environ,|_number\(environ,)\(?\s*"([A-Z_]+)\""""
)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return found


@pytest.fixture(scope="module")
def containers(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(ROOT, tmp_path / "state", tmp_path / "env")
    made.make_folders()
    return made


def owner(container: str) -> str | None:
    """The service whose process a container is: `svc-orders` of `svc-orders-worker`."""
    name = container.rpartition("-")[0]
    return name if name in SERVICES else None


def networks_of(containers: dict[str, dict[str, Any]], name: str) -> set[str]:
    """The networks that a container is in; a web is in those of the container that holds its address."""
    shared = containers[name].get("network_mode", "").removeprefix("service:")
    return set(containers[shared or name]["networks"])


def is_job(container: str) -> bool:
    return container.endswith(JOBS) or container == AUDIT


def read_by(service: str) -> set[str]:
    """Every variable that the settings of a service read."""
    folders = [ROOT / service, ROOT / "shared-lib" / "src" / "shared_lib"]
    sources = [
        path.read_text() for folder in folders for path in folder.rglob("*.py") if "tests" not in path.parts
    ]
    names = {name for source in sources for name in READ.findall(source)}
    return names | {f"{other.upper().replace('-', '_')}_URL" for other in SERVICES} | OF_THE_IMAGE


def test_every_service_has_its_processes_its_database_and_its_migration(containers):
    for service in SERVICES:
        for process in (*services.PROCESSES, "migrate"):
            assert f"{service}-{process}" in containers
        assert f"postgres-{service.removeprefix('svc-')}" in containers
    assert {f"{service}-seed" for service in services.SEEDS} == {
        name for name in containers if name.endswith("-seed")
    }


def test_the_seeds_are_those_of_host_processes(containers):
    for service, commands in services.SEEDS.items():
        wanted = " && ".join(f"python manage.py {command}" for command in commands)
        assert containers[f"{service}-seed"]["command"] == [wanted]


def test_only_the_gateway_has_a_port_and_a_way_out(compose, containers):
    assert [name for name, each in containers.items() if each.get("ports")] == ["gateway"]
    open_networks = {name for name, each in compose["networks"].items() if not (each or {}).get("internal")}
    assert open_networks == {"outer"}
    assert [name for name in containers if "outer" in networks_of(containers, name)] == ["gateway"]


def test_the_address_of_a_web_is_held_by_a_container_that_stays(containers):
    """A web that is to take over can listen beside the other, and nobody has to learn of another address."""
    for name, each in containers.items():
        service = owner(name)
        mode = f"service:address-{service.removeprefix('svc-')}" if name == f"{service}-web" else None
        assert each.get("network_mode") == mode, name
        if mode:
            holder = containers[mode.removeprefix("service:")]
            assert holder["networks"]["http"] == {"aliases": [name]}
            assert holder["sysctls"] == {"net.ipv4.tcp_migrate_req": "1"}
            assert each["environment"]["WEB_SHARE_PORT"] == each["environment"]["WEB_WAIT_READY"] == "true"


def test_each_service_can_run_another_release_than_the_rest(containers):
    for name, each in containers.items():
        if service := owner(name):
            version = f"${{{service.upper().replace('-', '_')}_VERSION:-${{SHOP_VERSION:-dev}}}}"
            assert each["image"] == f"${{SHOP_IMAGES:-shop}}/{service}:{version}"


def test_every_container_is_locked_down_and_limited(containers):
    for name, each in containers.items():
        assert each["read_only"] is True, name
        assert each["cap_drop"] == ["ALL"], name
        assert each["security_opt"] == ["no-new-privileges:true"], name
        assert re.fullmatch(r"\d+m", each["mem_limit"]), name
        assert each["pids_limit"] <= 512, name
        assert not each.get("privileged"), name
        assert each["restart"] == ("no" if is_job(name) else "unless-stopped"), name


def test_every_container_that_stays_has_a_health_check(containers):
    images = {path.name: path.read_text() for path in (ROOT / "deploy" / "docker").glob("*.Dockerfile")}
    for name, each in containers.items():
        if is_job(name):
            assert each["healthcheck"] == {"disable": True}
        elif name.startswith("address-"):
            assert each["command"] == ["sleep", "infinity"]
        elif "build" in each:
            recipe = images[Path(each["build"]["dockerfile"]).name]
            assert "\nHEALTHCHECK " in recipe, name
            assert "healthcheck" not in each, name
        else:
            assert each["healthcheck"]["test"], name


def test_each_database_network_has_its_server_and_its_service_alone(compose, containers):
    for service in SERVICES:
        short = service.removeprefix("svc-")
        members = {name for name in containers if f"db-{short}" in networks_of(containers, name)}
        assert members - {AUDIT} == {f"postgres-{short}", f"address-{short}"} | {
            name for name in containers if owner(name) == service
        }
        assert containers[f"postgres-{short}"]["networks"] == [f"db-{short}"]
    used = {network for name in containers for network in networks_of(containers, name)}
    assert used == set(compose["networks"])


def test_every_wait_is_for_health_or_an_end_and_for_something_that_is_there(containers):
    for name, each in containers.items():
        for other, how in each.get("depends_on", {}).items():
            assert other in containers
            wanted = "service_completed_successfully" if is_job(other) else "service_healthy"
            assert how["condition"] == wanted, f"{name} waits for {other}"
            # A container of a profile may be absent; whoever has none must do without it.
            dev = bool(containers[other].get("profiles")) and not each.get("profiles")
            assert how.get("required", True) is not dev, f"{name} waits for {other}"


def test_every_process_of_a_service_waits_for_its_migration(containers):
    for name in containers:
        if owner(name) and not name.endswith("-migrate"):
            assert f"{owner(name)}-migrate" in containers[name]["depends_on"]


@pytest.mark.parametrize("service", SERVICES)
def test_every_variable_given_is_one_that_settings_read(containers, service):
    known = read_by(service)
    mine = [each for name, each in containers.items() if owner(name) == service]
    assert mine
    for each in mine:
        for variable in each["environment"]:
            assert variable in known or variable.removesuffix("_FILE") in known, variable


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_gets_what_it_gets_as_host_processes(containers, layout, service):
    env = complete(layout.env_file, SERVICES, {})
    native = set(services.environment(layout, env, service, SERVICES)) - {
        "PYTHONUNBUFFERED",
        "PYTHONPYCACHEPREFIX",
    }
    given = set(containers[f"{service}-web"]["environment"])
    assert {name for name in native if name not in given and f"{name}_FILE" not in given} == set()


def test_the_gateway_gets_only_what_its_renderer_reads(containers):
    table = (ROOT / "gateway" / "variables.tsv").read_text()
    for variable in containers["gateway"]["environment"]:
        assert f"\n{variable}\t" in table, variable


def test_a_service_has_its_own_secrets_and_no_others(compose, containers):
    shared = {
        "svc-accounts": {"jwt-signing-key", "demo-password"},
        "svc-payments": {"sandbox-api-key", "sandbox-webhook-secret"},
    }
    for name, each in containers.items():
        service = owner(name)
        sources = {
            secret if isinstance(secret, str) else secret["source"] for secret in each.get("secrets", [])
        }
        assert sources <= set(compose["secrets"])
        if service:
            own = {source for source in sources if source.startswith(service.removeprefix("svc-") + "-")}
            assert sources - own == shared.get(service, set())
            assert f"{service.removeprefix('svc-')}-database-password" not in sources


def test_the_audit_reaches_every_database_as_its_own_role_and_nothing_else(containers, layout):
    audit = containers[AUDIT]
    assert set(audit["networks"]) == {f"db-{service.removeprefix('svc-')}" for service in SERVICES}
    assert {secret["source"] for secret in audit["secrets"]} == {
        f"{service.removeprefix('svc-')}-audit-url" for service in SERVICES
    }
    assert audit["profiles"] == [AUDIT], "it runs when it is asked for"
    assert audit["volumes"] == ["./deploy/audit:/usr/local/lib/audit/audit:ro"]
    env = complete(layout.env_file, SERVICES, {})
    files.write(layout, env, SERVICES)
    for service in SERVICES:
        name = service.removeprefix("svc-")
        variable = f"AUDIT_{service.upper().replace('-', '_')}_URL_FILE"
        target = Path(audit["environment"][variable]).name
        [source] = [each["source"] for each in audit["secrets"] if each["target"] == target]
        url = (files.folder(layout) / "secrets" / source).read_text()
        assert re.fullmatch(
            rf"postgresql://auditor:[\w-]+@postgres-{name}:5432/{service.replace('-', '_')}", url
        )
        server = {
            each if isinstance(each, str) else each["target"]
            for each in containers[f"postgres-{name}"]["secrets"]
        }
        assert "AUDITOR_PASSWORD" in server


def test_every_file_variable_names_a_secret_of_that_container(containers):
    for name, each in containers.items():
        targets = {
            secret if isinstance(secret, str) else secret["target"] for secret in each.get("secrets", [])
        }
        for variable, value in (each.get("environment") or {}).items():
            if str(value).startswith("/run/secrets/"):
                assert value.removeprefix("/run/secrets/") in targets, f"{name}: {variable}"


def test_exactly_the_secrets_of_the_file_are_written_and_only_the_owner_may_look(compose, layout):
    env = complete(layout.env_file, SERVICES, {"GATEWAY_PORT": "8099"})
    digest = files.write(layout, env, SERVICES)
    folder = files.folder(layout)
    assert {path.name for path in (folder / "secrets").iterdir()} == set(compose["secrets"])
    assert folder.stat().st_mode & 0o777 == 0o700
    # The users of containers are not the owner of these files.
    assert {path.stat().st_mode & 0o777 for path in (folder / "secrets").iterdir()} == {0o444}
    assert files.write(layout, env, SERVICES) == digest
    assert files.write(layout, {**env, "SVC_CART_REDIS_PASSWORD": "another-password-1"}, SERVICES) != digest


def test_while_a_secret_is_replaced_each_file_holds_what_counts_for_its_reader(layout):
    env = complete(layout.env_file, SERVICES, {})
    files.ensure_keys(layout, SERVICES)
    under_way = {
        "SVC_CART_DATABASE_LOGIN": "b",
        "SVC_CART_RABBITMQ_LOGIN": "b",
        "SANDBOX_API_KEY_NEXT": "next-key",
        "SVC_ACCOUNTS_SECRET_KEY_PREVIOUS": "last-key",
    }
    found = files.secrets(layout, env, SERVICES)
    assert found["accounts-secret-key-fallbacks"] == ""
    found = files.secrets(layout, {**env, **under_way}, SERVICES)
    assert found["cart-database-url"].startswith("postgresql://svc_cart_b:")
    assert found["cart-jobs-broker-url"].startswith("amqp://svc-cart.b:")
    assert found["orders-database-url"].startswith("postgresql://svc_orders:")
    assert found["sandbox-api-key"] == env["SANDBOX_API_KEY"]
    assert found["sandbox-api-keys"].split() == [env["SANDBOX_API_KEY"], "next-key"]
    assert found["accounts-secret-key-fallbacks"] == "last-key"


def test_the_folder_that_an_engine_made_in_place_of_a_file_is_replaced(layout):
    env = complete(layout.env_file, SERVICES, {})
    made = files.folder(layout) / "secrets" / "redis.acl"
    made.mkdir(parents=True)
    files.write(layout, env, SERVICES)
    assert "user svc-orders on" in made.read_text()


def test_a_setting_of_one_service_and_a_limit_reach_their_containers(containers):
    found = files.settings(
        {"SVC_ORDERS__ORDER_PAYMENT_WINDOW_SECONDS": "60", "GATEWAY_LIMIT_USER": "off"}, SERVICES
    )
    assert found["svc-orders"] == "ORDER_PAYMENT_WINDOW_SECONDS=60\n"
    assert found["svc-cart"] == ""
    assert found["gateway"] == "GATEWAY_LIMIT_USER=off\n"
    for name, text in found.items():
        container = "gateway" if name == "gateway" else f"{name}-web"
        assert containers[container]["env_file"][0]["path"].endswith(f"/docker/env/{name}"), text


def test_the_urls_in_secrets_name_containers_that_are_there(containers, layout):
    env = complete(layout.env_file, SERVICES, {})
    files.write(layout, env, SERVICES)
    for path in (files.folder(layout) / "secrets").glob("*-url"):
        host = re.search(r"@([a-z-]+):\d+/", path.read_text())
        assert host
        assert host[1] in STORES
        assert host[1] in containers


def test_the_broker_lets_a_service_into_its_own_hosts_only(layout):
    env = complete(layout.env_file, SERVICES, {})
    files.write(layout, env, SERVICES)
    definitions = json.loads((files.folder(layout) / "secrets" / "rabbitmq-definitions.json").read_text())
    hosts = {each["vhost"] for each in definitions["permissions"] if each["user"] == "svc-cart"}
    assert hosts == {"events", "jobs-svc-cart"}


def test_the_doors_of_the_tests_lead_to_containers_that_are_there(containers):
    found = doors.targets(SERVICES)
    assert {container for container, _ in found.values()} <= set(containers)
    assert found["SVC_ORDERS_POSTGRES_PORT"] == ("postgres-orders", 5432)


def test_two_clones_have_projects_of_their_own(tmp_path):
    one, two = (Layout(ROOT, tmp_path / name, tmp_path / f"{name}.env") for name in ("one", "two"))
    assert engine.project(one) != engine.project(two)
    assert re.fullmatch(r"shop-[0-9a-f]{6}", engine.project(one))


def test_an_engine_without_images_is_told_of_both_ways_out():
    said = (
        "#3 ERROR: failed to do request: Head https://registry/v2/: dial tcp: lookup registry: no such host\n"
    )
    sentence = engine.explain("Building the images", said, None)
    assert "make up RUNTIME=native" in sentence
    assert "deploy/docker/bases.sh" in sentence
    assert "bases.sh" not in engine.explain("Building the images", "#9 ERROR: exit code: 1\n", None)


def test_no_recipe_copies_what_is_private():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    kept = [line for line in ignored if line.startswith("!")]
    assert not any(".env" in line or ".local" in line or ".git" in line for line in kept)
    assert "**/tests" in ignored


@pytest.mark.parametrize(
    "recipe", sorted((ROOT / "deploy" / "docker").glob("*.Dockerfile")), ids=lambda p: p.name
)
def test_every_recipe_ends_as_a_user_of_its_own_with_labels(recipe):
    last = recipe.read_text().rpartition("\nFROM ")[2]
    assert "\nUSER 10001:10001\n" in last
    assert 'org.opencontainers.image.version="${VERSION}"' in last
    assert "org.opencontainers.image.title=" in last
    assert not re.search(r"https?://", recipe.read_text())


class TestHealthCheck:
    """The script that runs in the containers, with what /proc shows."""

    @pytest.fixture
    def check(self) -> Any:
        from importlib.util import module_from_spec, spec_from_file_location

        spec = spec_from_file_location("healthcheck", ROOT / "deploy" / "docker" / "healthcheck.py")
        assert spec
        assert spec.loader
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    HEAD = "  sl  local_address rem_address   st\n"

    def test_a_web_is_one_before_it_has_become_the_server(self, check):
        # In its network another web may hold connections, by which events and worker would be well.
        for words in ("-m shared_lib.server web", "-m shared_lib.server.web 0.0.0.0 8000 1", "-m sandbox"):
            assert check.has_port(["python", *words.split(), ""])
        for words in ("-m shared_lib.server events", "-m shared_lib.events", "-m shared_lib.server worker"):
            assert not check.has_port(["python", *words.split(), ""])

    def test_a_process_with_a_connection_to_the_broker_is_well(self, check, tmp_path):
        (tmp_path / "tcp").write_text(self.HEAD + "   0: 0A00000A:C350 0B00000A:1628 01 00000000\n")
        assert check.broker(tmp_path, 5672) == ""

    @pytest.mark.parametrize(
        "row",
        [
            "   0: 0A00000A:C350 0B00000A:1628 02 00000000\n",  # still asking
            "   0: 0A00000A:C350 0B00000A:1538 01 00000000\n",  # PostgreSQL
            "   0: 0A00000A:1628 0B00000A:C350 01 00000000\n",  # somebody else's
            "",
        ],
    )
    def test_a_process_without_one_is_not(self, check, tmp_path, row):
        (tmp_path / "tcp").write_text(self.HEAD + row)
        assert "no connection to RabbitMQ" in check.broker(tmp_path, 5672)

    def test_a_web_is_well_only_if_it_listens_itself(self, check, tmp_path):
        (tmp_path / "7" / "fd").mkdir(parents=True)
        (tmp_path / "7" / "fd" / "3").symlink_to("socket:[4711]")
        row = "   0: 00000000:{port} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 10001 0 {inode} 1\n"
        good = {"port": "1F40", "state": "0A", "inode": 4711}
        for change, listens in (
            ({}, True),
            ({"inode": 4712}, False),
            ({"state": "01"}, False),
            ({"port": "1F41"}, False),
        ):
            (tmp_path / "tcp").write_text(self.HEAD + row.format(**(good | change)))
            assert check.listens(tmp_path, tmp_path, 8000) is listens, change

    def test_a_web_process_that_does_not_answer_is_not_well(self, check):
        assert "/healthz does not answer" in check.web(1)

    def test_it_needs_nothing_but_the_standard_library(self):
        code = "import runpy; runpy.run_path('deploy/docker/healthcheck.py', run_name='imported')"
        subprocess.run([sys.executable, "-I", "-S", "-c", code], cwd=ROOT, check=True)
