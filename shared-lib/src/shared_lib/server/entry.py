from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
from importlib import import_module
from typing import Any

from shared_lib.server import handover

_PR_SET_PDEATHSIG = 1


def die_with_parent(expected_parent: int | None = None) -> None:
    """Asks the kernel to kill this process when its parent dies, so that a killed master leaves no worker on its port.

    Linux only; elsewhere nothing happens. `expected_parent` closes the race in which the parent died just before.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if expected_parent is not None and os.getppid() != expected_parent:
        os.kill(os.getpid(), signal.SIGKILL)


def spare_collector() -> None:
    """Once a process has loaded what it works with: that lives as long as the process, and is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def wsgi_application(settings_module: str) -> Any:
    """The WSGI application of a service, loaded in a worker of the web server."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings_module)
    if os.environ.get("SHOP_WEB_MASTER"):
        die_with_parent(int(os.environ["SHOP_WEB_MASTER"]))
    from django.core.wsgi import get_wsgi_application
    from django.urls import get_resolver

    from shared_lib.observability.expose import forget_dead_workers

    application = get_wsgi_application()
    forget_dead_workers()
    get_resolver()._populate()  # URLs and views load here, not in the first request
    spare_collector()
    return handover.enter(application)


def manage(settings_module: str) -> None:
    """`manage.py` of a service. A setting that is wrong ends it with a sentence."""
    from django.core.exceptions import ImproperlyConfigured

    from shared_lib.settings import env

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings_module)
    try:
        import_module(os.environ["DJANGO_SETTINGS_MODULE"])
        env.refuse_misspelt()
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
