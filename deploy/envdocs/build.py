"""Writes docs/settings.md, and for the runner the names that each service reads: `python -m envdocs.build [--check]`."""

import json
import sys
from pathlib import Path

from envdocs.catalogue import ROOT, Row, Section, sections, services

PAGE = ROOT / "docs" / "settings.md"
NAMES = ROOT / "deploy" / "native" / "shop" / "service_settings.json"
HEAD = """\
# Settings

Every environment variable that anything here reads. Made from the code by `make settings-docs`; a test compares.

A variable that is missing, malformed or out of its range, and one whose name can only be a misspelt one, stops the process at
start with a sentence that names it and never shows its value. Misspelt is what nobody reads and differs from a name that is
read by about a letter in ten; in `.env` every unknown name, and at the gateway every unknown `GATEWAY_` too. What else stands in
an environment belongs to others. Secrets, and how each is changed, are in [secrets](secrets.md).
"""
COLUMNS = ("variable", "what it must be", "default", "required", "secret", "what it does")


def page(found: list[Section]) -> str:
    """The text of docs/settings.md."""
    parts = [HEAD]
    for section in found:
        parts.append(f"\n## {section.title}\n\n{section.text}\n\n")
        parts.append(_line(COLUMNS) + _line(("---",) * len(COLUMNS)))
        parts += [_line(_cells(row)) for row in section.rows]
    return "".join(parts)


def _cells(row: Row) -> tuple[str, ...]:
    default = f"`{row.default}`" if row.default else ""
    return (f"`{row.name}`", row.wanted, default, row.required, "secret" if row.secret else "", row.text)


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def names(found: list[Section]) -> str:
    """JSON: for each service the names that `.env` may give it."""
    by_title = {section.title: [row.name for row in section.rows] for section in found}
    return (
        json.dumps(
            {service: sorted(by_title["Every service"] + by_title[service]) for service in services()},
            indent=1,
        )
        + "\n"
    )


def main() -> int:
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit("usage: python -m envdocs.build [--check]")
    found = sections()
    stale: list[Path] = []
    for path, text in ((PAGE, page(found)), (NAMES, names(found))):
        if not path.exists() or path.read_text() != text:
            stale.append(path)
            if not check:
                path.write_text(text)
    if check and stale:
        said = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        print(f"{said}: not what the code says; run `make settings-docs`.", file=sys.stderr)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
