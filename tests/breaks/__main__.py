"""`python -m breaks ENVIRONMENTS`: tries every break, or those named by BREAK=NAME,NAME; `make test-breaks` calls it.

ENVIRONMENTS is a JSON file: for each suite the environment that its tests need.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from breaks.table import ROOT, breaks
from breaks.trial import attempt, copy_tree


def main() -> int:
    environments = json.loads(Path(sys.argv[1]).read_text())
    wanted = set(filter(None, os.environ.get("BREAK", "").split(",")))
    table = breaks()
    if unknown := wanted - {each.name for each in table}:
        print(f"BREAK={','.join(sorted(unknown))}: there are {', '.join(each.name for each in table)}.")
        return 1
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="shop-breaks-") as folder:
        tree = Path(folder) / "shop"
        copy_tree(ROOT, tree)
        # Suite by suite, so that each database is made once.
        for one in sorted(table, key=lambda each: each.suite):
            if wanted and one.name not in wanted:
                continue
            verdict = attempt(one, tree, Path(sys.executable), environments[one.suite])
            verdicts.append(verdict)
            said = "seen" if not verdict.trouble else "NOT SEEN"
            print(f"{said:8}  {verdict.seconds:5.1f} s  {one.name}: {one.what}", flush=True)
            if verdict.trouble:
                print(f"          {one.suite}/{one.test}\n{verdict.trouble}\n", flush=True)
    bad = [verdict.name for verdict in verdicts if verdict.trouble]
    print(
        f"{len(verdicts) - len(bad)} of {len(verdicts)} breaks are seen by their test at the named assertion."
    )
    return 1 if bad or not verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
