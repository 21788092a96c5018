"""The descriptions that the gateway serves are those of the code."""

import subprocess
import sys
from pathlib import Path

DEPLOY = Path(__file__).resolve().parents[1]


def test_the_committed_descriptions_are_what_the_code_says():
    result = subprocess.run(
        [sys.executable, "-m", "apidocs.build", "--check"],
        cwd=DEPLOY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
