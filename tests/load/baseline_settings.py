"""svc-catalog's own settings, with the views of `load.baseline` beside its own."""

from config.settings import *  # noqa: F403

ROOT_URLCONF = "load.baseline"
