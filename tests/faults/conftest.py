"""The runner, which the fault tests steer the stack with, is a script of the tree, not an installed package."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "deploy" / "native"))
