"""deploy/shop: which runtime it takes, and what it says.

With runtimes that only say their name, and docker clients of all kinds.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ANSWERS = "#!/bin/sh\nexit 0\n"
NO_ENGINE = '#!/bin/sh\n[ "$1" != info ] || exit 1\n'
NO_COMPOSE = '#!/bin/sh\n[ "$1" != compose ] || exit 1\n'


class Tree:
    """A tree with the real dispatcher and two runtimes that note each call."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        for name in ("timeout", "cat", "rm", "mkdir", "dirname", "sh"):
            found = shutil.which(name)
            assert found
            (folder / "bin" / name).symlink_to(found)
        (folder / "deploy").mkdir()
        shutil.copy(ROOT / "deploy" / "shop", folder / "deploy" / "shop")
        for runtime in ("native", "docker"):
            (folder / "deploy" / runtime).mkdir()
            self.runtime(runtime, "exit 0")

    def runtime(self, name: str, then: str) -> None:
        path = self.folder / "deploy" / name / "run"
        path.write_text(f'#!/bin/sh\n[ "$1" = ps ] || echo "{name} $*"\n{then}\n')
        path.chmod(0o755)

    def docker(self, script: str) -> None:
        path = self.folder / "bin" / "docker"
        path.write_text(script)
        path.chmod(0o755)

    def shop(self, verb: str, runtime: str = "") -> subprocess.CompletedProcess[str]:
        env = {"PATH": str(self.folder / "bin"), "RUNTIME": runtime}
        return subprocess.run(
            [str(self.folder / "deploy" / "shop"), verb], env=env, capture_output=True, text=True, check=False
        )

    @property
    def memory(self) -> Path:
        return self.folder / ".local" / "runtime"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_without_docker_the_shop_runs_as_host_processes_and_says_so(tree: Tree) -> None:
    done = tree.shop("up")
    assert done.stdout.splitlines() == [
        "No Docker engine with Compose v2 answers: the shop runs as host processes.",
        "native up",
    ]
    assert tree.memory.read_text() == "native\n"


@pytest.mark.parametrize("client", [NO_ENGINE, NO_COMPOSE], ids=["no engine", "no compose"])
def test_a_client_alone_is_no_reason_for_containers(tree: Tree, client: str) -> None:
    tree.docker(client)
    assert tree.shop("up").stdout.splitlines()[-1] == "native up"


def test_where_an_engine_answers_the_shop_runs_in_containers_and_says_so(tree: Tree) -> None:
    tree.docker(ANSWERS)
    done = tree.shop("up")
    assert done.stdout.splitlines()[-1] == "docker up"
    assert "RUNTIME=native" in done.stdout


def test_a_named_runtime_is_taken_whatever_answers(tree: Tree) -> None:
    assert tree.shop("up", "docker").stdout == "docker up\n"
    tree.shop("down")
    tree.docker(ANSWERS)
    assert tree.shop("up", "native").stdout == "native up\n"


def test_the_other_verbs_mean_what_runs_even_when_an_engine_comes_later(tree: Tree) -> None:
    tree.shop("up")
    tree.docker(ANSWERS)
    for verb in ("ps", "logs", "restart", "upgrade", "rollback", "shell", "seed", "demo", "up", "down"):
        assert tree.shop(verb).stdout in {f"native {verb}\n", ""}, verb
    tree.shop("up")
    assert tree.shop("demo").stdout == "docker demo\n"


def test_a_second_runtime_beside_a_running_one_is_refused(tree: Tree) -> None:
    tree.shop("up", "native")
    done = tree.shop("up", "docker")
    assert done.returncode == 1
    assert done.stderr.startswith("The shop runs on RUNTIME=native here: `make down` first")
    assert done.stdout == ""
    assert tree.shop("down").returncode == 0
    assert tree.shop("up", "docker").stdout == "docker up\n"


def test_a_stack_that_an_older_version_started_counts_as_running(tree: Tree) -> None:
    (tree.folder / ".local" / "run").mkdir(parents=True)
    (tree.folder / ".local" / "run" / "supervisord.pid").write_text(str(os.getpid()))
    tree.docker(ANSWERS)
    assert tree.shop("up", "docker").returncode == 1
    assert tree.shop("up").stdout == "native up\n"


def test_a_start_that_left_nothing_is_forgotten_so_that_the_other_may_be_tried(tree: Tree) -> None:
    tree.runtime("docker", "exit 1")
    assert tree.shop("up", "docker").returncode == 1
    assert not tree.memory.exists()
    assert tree.shop("up", "native").returncode == 0


def test_a_failed_start_that_left_something_is_remembered(tree: Tree) -> None:
    tree.runtime("docker", '[ "$1" = ps ] || exit 1')
    assert tree.shop("up", "docker").returncode == 1
    assert tree.memory.read_text() == "docker\n"


def test_a_restore_starts_what_it_fills_and_so_is_remembered(tree: Tree) -> None:
    assert tree.shop("restore").stdout == "native restore\n"
    assert tree.shop("restore", "docker").returncode == 1
    tree.shop("down")
    assert tree.shop("restore", "docker").stdout == "docker restore\n"
    assert tree.shop("backup").stdout == "docker backup\n"
    assert tree.shop("restore").stdout == "docker restore\n"


def test_a_failed_down_is_not_forgotten(tree: Tree) -> None:
    tree.shop("up", "docker")
    tree.runtime("docker", "exit 1")
    assert tree.shop("down").returncode == 1
    assert tree.memory.exists()


@pytest.mark.parametrize("verb", ["test", "lint", "lock", "apidocs", "venv"])
def test_tests_and_tools_use_host_processes_always(tree: Tree, verb: str) -> None:
    tree.docker(ANSWERS)
    tree.shop("up", "docker")
    assert tree.shop(verb).stdout == f"native {verb}\n"
    assert tree.shop(verb, "docker").stdout == f"native {verb}\n"


def test_clean_removes_what_either_made(tree: Tree) -> None:
    tree.shop("up", "docker")
    assert tree.shop("clean").stdout == "docker clean\nnative clean\n"


def test_the_tests_of_a_running_stack_are_for_containers_and_host_processes_have_their_own(
    tree: Tree,
) -> None:
    done = tree.shop("end-to-end")
    assert (done.returncode, done.stdout) == (2, "")
    assert "make test SERVICE=tests" in done.stderr
    tree.shop("up", "docker")
    assert tree.shop("end-to-end").stdout == "docker end-to-end\n"


def test_an_unknown_runtime_is_a_sentence(tree: Tree) -> None:
    done = tree.shop("up", "podman")
    assert done.returncode == 2
    assert "RUNTIME=podman is not a runtime of this shop" in done.stderr
