"""Every folder of the tree has an owner, and every line of CODEOWNERS a folder."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def owned() -> dict[str, str]:
    lines = (ROOT / ".github" / "CODEOWNERS").read_text().splitlines()
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    assert all(len(row) == 2 and re.fullmatch(r"@shop/[a-z-]+", row[1]) for row in rows)
    return dict(rows)  # type: ignore[arg-type]


def test_every_top_level_folder_has_an_owner() -> None:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    folders = {f"/{name.split('/')[0]}/" for name in listed if "/" in name}

    assert folders - owned().keys() == set()


def test_every_owned_folder_is_there() -> None:
    assert [path for path in owned() if path != "*" and not (ROOT / path.strip("/")).is_dir()] == []


def test_a_service_and_its_chart_have_the_same_owner() -> None:
    owners = owned()
    services = [path for path in owners if re.fullmatch(r"/(svc-[a-z]+|gateway)/", path)]

    assert len(services) == 7
    assert {path: owners[f"/k8s/charts{path}"] for path in services} == {
        path: owners[path] for path in services
    }
