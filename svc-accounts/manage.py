"""Django's command line for svc-accounts."""

from shared_lib.server import manage

if __name__ == "__main__":
    manage("config.settings")
