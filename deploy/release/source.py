"""What git knows of the tree: the commit that a release is made of."""

from __future__ import annotations

import subprocess
from pathlib import Path

from release.refusal import Refused


def commit(root: Path) -> str:
    """The commit that is checked out. Raises `Refused` outside of a repository."""
    return _git(root, "rev-parse", "--verify", "HEAD").strip()


def changes(root: Path) -> list[str]:
    """Paths that differ from the commit, files that git does not know yet among them."""
    return [line[3:] for line in _git(root, "status", "--porcelain", "--untracked-files=all").splitlines()]


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"{root} is no git repository with a commit: a release must be able to name its own.")
    return done.stdout
