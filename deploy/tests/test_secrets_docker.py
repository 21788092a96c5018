"""`make secrets-check` looks at all that a Docker engine tells, and into the images: with an engine of one container and image."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from shop import secrets_check
from shop.layout import Layout

SECRET = b"a-password-of-24-letters"
CLIENT = """#!/bin/sh
case "$1 $2" in
    "info "*) exit {info} ;;
    "ps "*) echo 4711 ;;
    "image inspect") cat {folder}/image.json ;;
    "inspect "*) cat {folder}/container.json ;;
    "logs "*) cat {folder}/log >&2 ;;
    "history "*) cat {folder}/history ;;
    "save "*) cat {folder}/image.tar ;;
    *) exit 9 ;;
esac
"""


def tar(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


def image(files: dict[str, bytes], said: bytes = b"{}") -> bytes:
    """As `docker save` has it: descriptions, and a layer that hides what another one holds."""
    return tar({"ab/json": said, "ab/layer.tar": tar(files), "cd/layer.tar": tar({"app/.wh.env": b""})})


Engine = Callable[[str, bytes], list[str]]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path, tmp_path / "state", tmp_path / "env")
    made.make_folders()
    (made.state / "docker").mkdir()
    return made


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: Layout) -> Engine:
    """Called with a file of the engine and its content, all else harmless, it returns what the check says."""
    folder = tmp_path / "engine"
    (folder / "bin").mkdir(parents=True)
    client = folder / "bin" / "docker"
    client.write_text(CLIENT.format(folder=folder, info=0))
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")
    harmless = {
        "container.json": json.dumps([{"Name": "/shop-web-1", "Image": "sha256:ab"}]).encode(),
        "image.json": json.dumps(
            [{"RepoTags": ["shop/web:dev"], "Config": {"Labels": {secrets_check.OURS: "web"}}}]
        ).encode(),
        "log": b"ready",
        "history": b"COPY /app /app",
        "image.tar": image({"app/env": b"nothing"}),
    }

    def look(name: str, content: bytes) -> list[str]:
        for each, usual in harmless.items():
            (folder / each).write_bytes(content if each == name else usual)
        finder = secrets_check.Finder({"SVC_CART_REDIS_PASSWORD": [SECRET]})
        return list(secrets_check._told("Docker", finder, secrets_check._docker(layout)))

    return look


def test_what_holds_no_secret_is_not_named(engine: Engine) -> None:
    assert engine("", b"") == []


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        (
            "container.json",
            json.dumps(
                [{"Name": "/shop-web-1", "Image": "sha256:ab", "Config": {"Env": [f"A={SECRET.decode()}"]}}]
            ).encode(),
            "docker inspect shop-web-1",
        ),
        ("log", b"connecting with " + SECRET, "docker logs shop-web-1"),
        ("history", b"RUN login " + SECRET, "docker history shop/web:dev"),
        ("image.tar", image({"app/env": b"PASSWORD=" + SECRET}), "image shop/web:dev, /app/env"),
        ("image.tar", image({}, b'{"Env": ["A=' + SECRET + b'"]}'), "image shop/web:dev, ab/json"),
    ],
)
def test_a_secret_is_named_with_its_place(engine: Engine, name: str, content: bytes, place: str) -> None:
    assert engine(name, content) == [f"SVC_CART_REDIS_PASSWORD is in Docker: {place}"]


def test_an_engine_that_is_away_is_told_and_an_answer_that_is_none_is_a_sentence(
    engine: Engine, layout: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = tmp_path / "engine" / "bin" / "docker"
    client.write_text(CLIENT.format(folder=tmp_path, info=1))
    assert engine("", b"") == []
    assert (
        "No Docker engine answers: its containers and images were not looked into." in capsys.readouterr().err
    )
    client.write_text("#!/bin/sh\n[ $1 = info ] || { echo permission denied >&2; exit 1; }\n")
    with pytest.raises(secrets_check.Problem, match=r"cannot be asked \(docker ps\): permission denied"):
        engine("", b"")
