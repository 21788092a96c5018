from __future__ import annotations

import pytest
import semver

from release import Refused
from release.versions import check, known, parse


@pytest.mark.parametrize("text", ["1", "1.2", "v1.2.0", "1.2.0.1", "01.2.0", "latest", " 1.2.0"])
def test_what_is_no_semantic_version_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="is not a semantic version"):
        parse(text)


def test_build_metadata_is_refused() -> None:
    with pytest.raises(Refused, match="leave out \\+abc"):
        parse("1.2.0+abc")


def may(version: str, running: list[str], released: list[str]) -> bool:
    try:
        check(semver.Version.parse(version), running, known(released))
    except Refused:
        return False
    return True


@pytest.mark.parametrize(
    ("version", "running", "released", "allowed"),
    [
        ("1.0.0", ["dev"], [], True),
        ("1.3.0", ["1.2.0"], ["1.2.0"], True),
        ("1.3.0-rc.1", ["1.2.0"], [], True),
        ("1.3.0", ["1.3.0-rc.1"], [], True),
        ("1.2.0", ["1.2.0"], [], False),
        ("1.1.9", ["1.2.0"], [], False),
        ("1.1.2", ["1.2.0"], ["1.1.0", "1.1.1", "1.2.0"], True),
        ("1.1.1", ["1.2.0"], ["1.1.0", "1.1.2", "1.2.0"], False),
        ("1.2.3", ["1.2.5"], ["1.2.2"], False),
        ("1.2.1", ["1.2.0", "1.3.0"], ["1.2.0", "1.3.0"], True),
    ],
)
def test_a_version_grows_or_is_the_next_patch_of_an_older_line(
    version: str, running: list[str], released: list[str], allowed: bool
) -> None:
    assert may(version, running, released) is allowed
