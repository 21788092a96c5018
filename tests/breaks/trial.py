"""One break tried: the patch applied to a copy of the tree, the test must fail where the table says; taken back, it passes."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from breaks.table import Break

TEST_SECONDS = 180


class Wrong(Exception):
    """The break did not go as the table says; the text tells what happened instead."""


@dataclass(frozen=True)
class Verdict:
    name: str
    seconds: float
    trouble: str = ""


def copy_tree(root: Path, to: Path) -> None:
    """Everything that git would keep of `root`, as it lies there now, with what is not committed yet."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        source, target = root / name, to / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def apply(patch: Path, tree: Path, *options: str) -> None:
    """Raises `Wrong` when it does not fit. `options`: `--check`, `--reverse`."""
    # In a tree of its own, whatever repository it may lie in.
    env = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.parent)}
    done = subprocess.run(
        ["git", "apply", *options, str(patch)], cwd=tree, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Wrong(f"the patch does not apply any more: {done.stderr.strip()}")


def attempt(one: Break, tree: Path, python: Path, env: Mapping[str, str]) -> Verdict:
    """`tree` is a copy, and the same again afterwards. `env` is what the suite's tests need."""
    began = time.monotonic()
    try:
        apply(one.patch, tree)
        try:
            broken = run_test(one, tree, python, env)
        finally:
            apply(one.patch, tree, "--reverse")
        judge(one, broken)
        whole = run_test(one, tree, python, env)
        if whole is not None:
            raise Wrong(f"it fails without the patch too:\n{whole}")
    except Wrong as wrong:
        return Verdict(one.name, time.monotonic() - began, str(wrong))
    return Verdict(one.name, time.monotonic() - began)


def judge(one: Break, failure: str | None) -> None:
    """Raises `Wrong` unless `failure` is that of the named assertion."""
    if failure is None:
        raise Wrong("the test passes all the same: it does not see the mistake")
    failed_at = {line[1:].strip() for line in failure.splitlines() if line.startswith(">")}
    if one.assertion not in failed_at:
        raise Wrong(f"the test fails, but not at `{one.assertion}`:\n{failure}")


def run_test(one: Break, tree: Path, python: Path, env: Mapping[str, str]) -> str | None:
    """The traceback of the failing test, None when it passed. Raises `Wrong` when there was no such test to run."""
    report = tree / "report.xml"
    report.unlink(missing_ok=True)
    command = [str(python), "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=long"]
    try:
        done = subprocess.run(
            [*command, f"--junitxml={report}", one.test],
            cwd=tree / one.suite,
            # Databases are made once: the breaks change no table.
            env={
                **env,
                "PYTEST_ADDOPTS": "--reuse-db" if "DATABASE_URL" in env else "",
                "PYTHONPATH": f"{tree}/shared-lib/src:{env.get('PYTHONPATH', '')}".rstrip(":"),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Wrong(f"the test did not end within {TEST_SECONDS} s") from None
    cases = list(ET.parse(report).getroot().iter("testcase")) if report.exists() else []  # noqa: S314 - by pytest
    if not cases or any(case.find("skipped") is not None for case in cases):
        raise Wrong(f"{one.test} did not run:\n{done.stdout}{done.stderr}")
    errors = [case.find("error") for case in cases if case.find("error") is not None]
    if errors:
        raise Wrong(f"{one.test} could not run:\n{errors[0].text}")  # type: ignore[union-attr]
    failures = [failure for case in cases if (failure := case.find("failure")) is not None]
    return "\n".join(failure.text or "" for failure in failures) if failures else None
