"""Freezes the contracts and checks them against what was released.

    python -m shared_lib.contracts freeze              write files for what is new; no schema that is there is touched
    python -m shared_lib.contracts check               compare with the last tagged release, without one with the frozen files
    python -m shared_lib.contracts check --against v1.4.0

`check` prints a line for each incompatible change, with contract, field and the consumers that it hits, and then exits 1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from shared_lib.contracts import frozen


class NoSuchRelease(ValueError):
    """The tag that was named does not exist, or there is no repository to look into."""


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)


def last_release(folder: Path) -> str | None:
    """The nearest tag that HEAD descends from; None without a tag, a repository or git itself."""
    try:
        found = _git(folder, "describe", "--tags", "--abbrev=0")
    except FileNotFoundError:
        return None
    return found.stdout.strip() if found.returncode == 0 else None


def released(folder: Path, tag: str) -> frozen.Frozen:
    """The frozen files as `tag` has them. Raises `NoSuchRelease`."""
    top = _git(folder, "rev-parse", "--show-toplevel")
    if top.returncode:
        raise NoSuchRelease(f"{folder} is in no git repository.")
    if _git(folder, "rev-parse", "--verify", "--quiet", f"{tag}^{{commit}}").returncode:
        raise NoSuchRelease(f"There is no release {tag} in this repository.")
    root = Path(top.stdout.strip())
    below = folder.resolve().relative_to(root.resolve()).as_posix()
    listed = _git(root, "ls-tree", "-r", "-z", "--name-only", tag, "--", f"{below}/")
    files = {}
    for path in listed.stdout.split("\0"):
        if path.endswith(".json"):
            files[path.removeprefix(f"{below}/")] = _git(root, "show", f"{tag}:{path}").stdout
    return frozen.Frozen(files, f"release {tag}")


def check(folder: Path, against: str | None) -> int:
    tree = frozen.Frozen.of_folder(folder)
    tag = against or last_release(folder)
    base = released(folder, tag) if tag else tree
    complaints = [str(each) for each in frozen.breaks(base)]
    if tag:
        complaints += [
            f"{path} was edited after {tag}: a published schema never is."
            for path in frozen.edited(base, tree)
        ]
        # What was frozen after the release is a promise already: others may have been built on it.
        complaints += [line for each in frozen.breaks(tree) if (line := str(each)) not in complaints]
    if not complaints:
        complaints += [
            f"{contract.label} is not frozen as it stands: run `python -m shared_lib.contracts freeze`."
            for contract in frozen.unfrozen(tree)
        ]
        if tree.files.get(frozen.CONSUMERS) != frozen.text_of(frozen.consumers_document()):
            complaints.append(
                f"{frozen.CONSUMERS} is not what the code says: run `python -m shared_lib.contracts freeze`."
            )
    for line in complaints:
        print(line)
    if not complaints:
        print(f"The contracts fit {base.origin}.")
    return 1 if complaints else 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m shared_lib.contracts", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--folder", type=Path, default=frozen.FOLDER, help=argparse.SUPPRESS)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("freeze", help="write the schemas of what is new")
    checking = verbs.add_parser("check", help="compare with a release")
    checking.add_argument(
        "--against", metavar="TAG", help="the release to compare with; default: the last one"
    )
    options = parser.parse_args(arguments)
    try:
        if options.verb == "check":
            return check(options.folder, options.against)
        for path in frozen.freeze(options.folder):
            print(f"wrote {path}")
    except (frozen.CannotFreeze, NoSuchRelease) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
