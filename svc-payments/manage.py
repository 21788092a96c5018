#!/usr/bin/env python
"""Management commands of svc-payments."""

from shared_lib.server import manage

if __name__ == "__main__":
    manage("config.settings")
