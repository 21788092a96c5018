#!/usr/bin/env python
"""Management commands of svc-notifications."""

from shared_lib.server import manage

if __name__ == "__main__":
    manage("config.settings")
