"""Management commands of one service in one Python start: `python prepare.py "migrate" "generate_fake_products 50"`.

Runs in the service's folder with the service's environment. Starting Django costs more than most commands.
"""

import os
import shlex
import sys
from pathlib import Path


def main(commands: list[str]) -> None:
    """Run each command in turn; the first that fails ends it."""
    sys.path[0] = str(Path.cwd())
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    import django
    from django.core.management import call_command

    django.setup()
    for line in commands:
        call_command(*shlex.split(line))


main(sys.argv[1:])
