"""The runner and the mail catcher are scripts of the tree, not installed packages."""

import sys
from pathlib import Path

DEPLOY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(DEPLOY), str(DEPLOY / "native"), str(DEPLOY / "docker")]
