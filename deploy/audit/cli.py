"""`python -m audit`: exit code 0 and a line for each invariant; 1 and a table of what differs; 2 and a sentence."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TextIO

from audit.databases import Unreadable
from audit.engine import run
from audit.model import SERVICES, Report

#: Findings of one invariant that the table shows; JSON has more.
SHOWN = 20


def variable(service: str) -> str:
    """What holds the address of a service's database: `AUDIT_SVC_ORDERS_URL`."""
    return f"AUDIT_{service.upper().replace('-', '_')}_URL"


def urls(environ: Mapping[str, str]) -> dict[str, str]:
    """The addresses of the databases by service: `AUDIT_SVC_ORDERS_URL`, or the file that `AUDIT_SVC_ORDERS_URL_FILE` names."""
    found = {}
    for service in SERVICES:
        name = variable(service)
        if value := environ.get(name):
            found[service] = value
        elif file := environ.get(f"{name}_FILE"):
            try:
                found[service] = Path(file).read_text().strip()
            except OSError as error:
                raise Unreadable(
                    f"{name}_FILE names a file that cannot be read ({error.strerror}): {file}"
                ) from None
    return found


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    options = _parser().parse_args(list(arguments))
    text = sys.stderr if options.json == "-" else sys.stdout
    try:
        report = run(
            urls(environ),
            in_flight_limit=options.in_flight_limit,
            wait=options.wait,
            events_since=options.events_since.timestamp() if options.events_since else 0,
        )
    except Unreadable as problem:
        print(problem, file=sys.stderr)
        return 2
    if options.json:
        document = json.dumps(report.document(), indent=1) + "\n"
        if options.json == "-":
            sys.stdout.write(document)
        else:
            try:
                Path(options.json).write_text(document)
            except OSError as error:
                print(f"{options.json} cannot be written: {error.strerror}.", file=sys.stderr)
                return 2
    tell(report, text)
    return 0 if report.clean else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deploy/shop audit",
        description="Reads all databases and says where they contradict each other. Exit code 1: they do. 2: cannot be read.",
    )
    parser.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="FILE",
        help="write the report there too; without FILE to stdout",
    )
    parser.add_argument(
        "--in-flight-limit",
        type=_seconds,
        default=300.0,
        metavar="SECONDS",
        help="what differs and was touched more recently is in flight and no finding (300)",
    )
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=3.0,
        metavar="SECONDS",
        help="pause before what differs is looked at again (3)",
    )
    parser.add_argument(
        "--events-since",
        type=_moment,
        metavar="TIME",
        help="leave out older events: those from before a service subscribed (2026-11-22T21:00:00+00:00)",
    )
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return value


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.astimezone()


def tell(report: Report, out: TextIO) -> None:
    """A line for each invariant, then a table of the findings."""
    rows = [
        (
            tally.invariant.name,
            "ok" if not tally.wrong else f"{tally.wrong} WRONG",
            f"{tally.checked} checked",
            f"{tally.in_flight} in flight" if tally.in_flight else "",
        )
        for tally in report.tallies
    ]
    _table(rows, out)
    findings = [
        (tally.invariant.name, each.service, each.id, each.expected, each.actual)
        for tally in report.tallies
        for each in tally.findings[:SHOWN]
    ]
    if findings:
        print(file=out)
        _table([("invariant", "service", "id", "expected", "there is"), *findings], out)
        print(file=out)
        for tally in report.tallies:
            if tally.wrong:
                print(f"{tally.invariant.name}: {tally.invariant.sentence}", file=out)
            if tally.wrong > SHOWN:
                print(
                    f"  {tally.wrong - SHOWN} more are not shown; --json FILE keeps 1000 of each.", file=out
                )
    wrong = sum(tally.wrong for tally in report.tallies)
    flying = sum(tally.in_flight for tally in report.tallies)
    verdict = (
        "Nothing contradicts anything."
        if report.clean
        else f"{wrong} findings in {len(report.broken)} invariants."
    )
    print(
        f"\n{verdict} {len(report.tallies)} invariants, {flying} differences in flight, {report.seconds:.1f} s.",
        file=out,
    )


def _table(rows: Sequence[tuple[str, ...]], out: TextIO) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(), file=out
        )
