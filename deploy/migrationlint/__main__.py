"""Exit code 0, or 1 and a sentence for each rule that a migration breaks. Run in the folder of a service."""

from __future__ import annotations

import os
import sys

from apidocs.build import NOWHERE
from migrationlint.allowed import BadList, permits


def main(apps: list[str]) -> int:
    from shared_lib.testing.environment import prepare

    os.environ.update(NOWHERE)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    prepare()
    import django
    from django.conf import settings

    settings.DATABASES["default"]["ENGINE"] = "migrationlint.offline"
    django.setup()
    from migrationlint.rules import complaints

    try:
        permitted = permits()
    except BadList as error:
        print(error)
        return 1
    found = [line for app in apps or [settings.SERVICE_PACKAGE] for line in complaints(app, permitted)]
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
