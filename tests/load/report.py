"""One report in Markdown of the files that the benchmarks have written: `load/report.py FILE... [--output FILE]`."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from load.figures import Results, table


def report(results: Sequence[Results], head: str) -> str:
    """`head` says when and where; below it a section for each benchmark, and at the end how many targets were met."""
    parts = ["# What was measured", head]
    for one in results:
        parts += [f"## {one.name}", f"    {one.command}", f"Load average at its end: {one.load_average:.1f}."]
        parts.append(table(one.figures))
        parts += [f"Wrong: {text}" for text in one.wrong]
    judged = [figure for one in results for figure in one.figures if figure.met is not None]
    missed = [figure.what for figure in judged if not figure.met]
    parts.append(f"{len(judged) - len(missed)} of {len(judged)} targets met.")
    if missed:
        parts.append(f"Missed: {'; '.join(missed)}.")
    if any(one.wrong for one in results):
        parts.append("**There were wrong answers.**")
    return "\n\n".join(parts) + "\n"


def machine() -> str:
    """Date, versions and processors, in one paragraph."""
    libraries = [f"{name} {importlib.metadata.version(name)}" for name in ("Django", "granian", "psycopg")]
    programs = [
        f"{name} {found[0]}"
        for name, command in (
            ("PostgreSQL", ["psql", "--version"]),
            ("Nginx", ["nginx", "-v"]),
            ("Redis", ["redis-server", "--version"]),
        )
        if (found := re.findall(r"\d+(?:\.\d+)+", _said(command)))
    ]
    versions = ", ".join([f"Python {platform.python_version()}", *libraries, *programs])
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, Linux {platform.release()}, {os.cpu_count()} processors. {versions}."


def _said(command: list[str]) -> str:
    """What a program prints, on either output; nothing where it is not in PATH."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={"PATH": path, "LANG": "C.UTF-8"}
        )
    except FileNotFoundError:
        return ""
    return done.stdout + done.stderr


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    results = [Results.load(path) for path in given.files]
    text = report(results, machine())
    print(f"\n{text}")
    if given.output:
        given.output.write_text(text)
    return 1 if any(one.wrong for one in results) else 0


if __name__ == "__main__":
    sys.exit(main())
