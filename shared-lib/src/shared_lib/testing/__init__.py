"""pytest plugin of every service: `addopts = "-p shared_lib.testing"`.

Importing it gives the process a test environment (key pairs of its own, values for what the environment does not set),
before Django reads its settings. PostgreSQL is real: DATABASE_URL must name a role that may create databases.
"""

from shared_lib.testing.environment import prepare

prepare()

from shared_lib.testing.fixtures import *  # noqa: E402, F403
