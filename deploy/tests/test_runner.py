"""What the runner says and does before anything runs, and the rights that it hands out."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shop import disk, layout, ports, processes, rabbitmq, redis, services, stack
from shop.envfile import complete
from shop.layout import Layout, find_layout
from shop.problems import Problem
from shop.report import Progress

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = ROOT / "deploy" / "native" / "shop" / "launch.py"


@pytest.fixture
def listener() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.fixture
def there(tmp_path: Path) -> Layout:
    return Layout(ROOT, tmp_path / "state", tmp_path / "env")


def test_the_holder_of_a_port_is_named(listener: int) -> None:
    holder = ports.holder(listener)
    assert holder is not None
    assert f"(pid {os.getpid()})" in holder


def test_a_gateway_port_in_use_is_a_sentence_and_leaves_no_settings_behind(
    there: Layout, listener: int
) -> None:
    with pytest.raises(
        Problem, match=rf"Port {listener} is in use by .*: stop it, or run `make up GATEWAY_PORT="
    ):
        stack.create(there, Progress(), {"GATEWAY_PORT": str(listener)})
    assert not there.env_file.exists()


def test_a_block_of_ports_has_none_that_is_taken(listener: int) -> None:
    block = ports.choose_block(20)
    assert block == list(range(block[0], block[0] + 20))
    assert listener not in block


def test_a_disk_with_too_little_room_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=5_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(Problem, match="5 MB left and the shop needs 600 MB: free some space"):
        disk.check_space(tmp_path / "not" / "there")


def test_a_path_that_configuration_files_cannot_carry_is_a_sentence() -> None:
    with pytest.raises(Problem, match=r"contains '\$'.*move the folder"):
        find_layout({"SHOP_STATE_DIR": "/nowhere/a$b"})
    with pytest.raises(Problem, match="characters long"):
        find_layout({"SHOP_STATE_DIR": "/nowhere/" + "x/" * layout.LONGEST_STATE_PATH})


def test_a_service_gets_its_own_secrets_and_no_other(there: Layout) -> None:
    names = services.discover(ROOT)
    env = complete(there.env_file, names, {})
    for service in names:
        given = "\n".join(services.environment(there, env, service, names).values())
        for other in names:
            for secret in ("SECRET_KEY", "DATABASE_PASSWORD", "REDIS_PASSWORD", "RABBITMQ_PASSWORD"):
                assert (env[f"{services.prefix(other)}_{secret}"] in given) == (other == service), (
                    service,
                    other,
                    secret,
                )
        assert env["POSTGRES_PASSWORD"] not in given


def test_no_secret_stands_on_a_command_line(there: Layout) -> None:
    names = services.discover(ROOT)
    env = complete(there.env_file, names, {})
    there.make_folders()
    secrets = [value for name, value in env.items() if name.endswith(("_PASSWORD", "_SECRET", "_KEY"))]
    for service in names:
        for program in services.programs(there, env, service, names):
            assert not [secret for secret in secrets if secret in " ".join(program.argv)]


def test_a_setting_for_one_service_reaches_that_one_only(there: Layout) -> None:
    names = services.discover(ROOT)
    complete(there.env_file, names, {})
    there.env_file.write_text(there.env_file.read_text() + "SVC_ORDERS__ORDER_PAYMENT_WINDOW_SECONDS=7\n")
    env = complete(there.env_file, names, {})
    got = {
        name
        for name in names
        if "ORDER_PAYMENT_WINDOW_SECONDS" in services.environment(there, env, name, names)
    }
    assert got == {"svc-orders"}


def test_a_service_may_enter_the_events_and_its_own_jobs_only(there: Layout) -> None:
    names = services.discover(ROOT)
    env = complete(there.env_file, names, {})
    rights = rabbitmq.definitions(env, names, testing=False)["permissions"]
    assert isinstance(rights, list)
    hosts = {name: {right["vhost"] for right in rights if right["user"] == name} for name in names}
    assert hosts == {name: {"events", f"jobs-{name}"} for name in names}
    for right in rights:
        if right["vhost"] == "events" and right["user"] in names:
            assert not re.fullmatch(str(right["read"]), "svc-other.events")
            assert re.fullmatch(str(right["read"]), f"{right['user']}.events")


def test_redis_lets_nobody_in_without_a_name_and_keeps_services_to_their_keys(there: Layout) -> None:
    names = services.discover(ROOT)
    lines = redis.access_list(complete(there.env_file, names, {}), names).splitlines()
    assert lines[0] == "user default off resetkeys resetchannels -@all"
    rights = {line.split()[1]: line for line in lines}
    assert " ~svc-cart:* " in rights["svc-cart"]
    assert "~*" not in rights["svc-cart"]
    assert "%R~gateway:*" in rights["gateway"]
    assert "+@all" not in rights["gateway"]


class Launched:
    """A program behind the launcher, with this process in the supervisor's place."""

    def __init__(self, folder: Path, argv: list[str], **more: object) -> None:
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        (folder / "pid").write_text(str(os.getpid()))
        spec = {
            "name": "it",
            "argv": argv,
            "cwd": str(folder),
            "user": None,
            "waits": [],
            "death_signal": "KILL",
            "env": {"PATH": os.environ["PATH"]},
            "lock": str(folder / "lock"),
            "supervisor_pid_file": str(folder / "pid"),
            **more,
        }
        (folder / "spec.json").write_text(json.dumps(spec))
        self.process: subprocess.Popen[bytes]

    def start(self) -> "Launched":
        command = [sys.executable, "-I", "-S", str(LAUNCHER), str(self.folder / "spec.json")]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def wait_until(condition: object, seconds: float = 10) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def test_what_a_killed_program_left_behind_is_ended_before_it_starts_again(tmp_path: Path) -> None:
    program = Launched(
        tmp_path / "it", ["/bin/sh", "-c", "sleep 300 & echo $! >child; exec sleep 300"]
    ).start()
    child = tmp_path / "it" / "child"
    wait_until(lambda: child.exists() and child.read_text().strip())
    orphan = int(child.read_text())
    program.process.kill()
    program.process.wait()
    assert processes.alive(orphan)
    child.unlink()
    program.start()
    wait_until(lambda: child.exists() and child.read_text().strip())
    assert not processes.alive(orphan)
    os.kill(int(child.read_text()), signal.SIGKILL)
    program.end()


def test_a_program_waits_for_what_it_needs(tmp_path: Path) -> None:
    port = ports.choose_block(1)[0]
    waits = [{"kind": "http", "port": port, "path": "/"}]
    program = Launched(tmp_path / "it", ["/bin/sh", "-c", ">began; exec sleep 300"], waits=waits).start()
    time.sleep(0.5)
    assert not (tmp_path / "it" / "began").exists()
    server = subprocess.Popen(
        [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until((tmp_path / "it" / "began").exists)
    server.kill()
    server.wait()
    program.end()


def test_a_program_ends_when_its_supervisor_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "it"
    Launched(
        folder,
        [
            sys.executable,
            "-c",
            "import os, time; open('began', 'w').write(str(os.getpid())); time.sleep(300)",
        ],
    )
    script = (
        "import os, subprocess, sys, time; open('pid', 'w').write(str(os.getpid()));"
        f" subprocess.Popen([sys.executable, '-I', '-S', {str(LAUNCHER)!r}, 'spec.json']); time.sleep(300)"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", script], cwd=folder)
    began = folder / "began"
    wait_until(lambda: began.exists() and began.read_text())
    program = int(began.read_text())
    assert processes.alive(program)
    supervisor.kill()
    supervisor.wait()
    wait_until(lambda: not processes.alive(program))
