"""Reading the environment: every variable is checked, and what is wrong is said in one sentence.

A variable may come as a file, as secrets of containers do: where NAME is not set, NAME_FILE names a file that holds its
value. One line break at the end does not belong to the value.
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvError


class SettingUnreadable(ImproperlyConfigured):
    """A file that should hold a setting is not there or not readable."""


def take_from_file(name: str) -> None:
    """Gives the variable `name` the content of the file that NAME_FILE names; a value that is set already stays.

    Raises `SettingUnreadable` when that file cannot be read.
    """
    path = os.environ.get(f"{name}_FILE")
    if not path or name in os.environ:
        return
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError):
        raise SettingUnreadable(
            f'Environment variable "{name}_FILE" names {path}, which is not there or not readable.'
        ) from None
    os.environ[name] = text.removesuffix("\n")


class Environment:
    """Typed access to environment variables on top of `environs`.

    Every method raises `ImproperlyConfigured` naming the variable when it is missing without a default or malformed. The
    value itself is never repeated in the message, since it may be a secret.
    """

    def __init__(self) -> None:
        self._env = Env()

    def _read(
        self, kind: builtins.str, name: builtins.str, args: tuple[Any, ...], kwargs: dict[builtins.str, Any]
    ) -> Any:
        take_from_file(name)
        try:
            return getattr(self._env, kind)(name, *args, **kwargs)
        except EnvError as error:
            reason = (
                str(error)
                if "not set" in str(error)
                else f'Environment variable "{name}" is not a valid {kind}'
            )
            raise ImproperlyConfigured(f"{reason}.") from None

    def str(self, name: builtins.str, *args: Any, **kwargs: Any) -> Any:
        return self._read("str", name, args, kwargs)

    def int(self, name: builtins.str, *args: Any, **kwargs: Any) -> Any:
        return self._read("int", name, args, kwargs)

    def float(self, name: builtins.str, *args: Any, **kwargs: Any) -> Any:
        return self._read("float", name, args, kwargs)

    def bool(self, name: builtins.str, *args: Any, **kwargs: Any) -> Any:
        return self._read("bool", name, args, kwargs)

    def list(self, name: builtins.str, *args: Any, **kwargs: Any) -> Any:
        return self._read("list", name, args, kwargs)

    def url(self, name: builtins.str, *args: Any, **kwargs: Any) -> Any:
        """An absolute URL without a trailing slash."""
        value = self.str(name, *args, **kwargs)
        if value and "://" not in value:
            raise ImproperlyConfigured(f'Environment variable "{name}" is not an absolute URL.')
        return value.rstrip("/") if value else value

    def database(self, name: builtins.str) -> dict[builtins.str, Any]:
        """A PostgreSQL URL as an entry of DATABASES."""
        config: dict[builtins.str, Any] = self._read("dj_db_url", name, (), {})
        if not config.get("ENGINE", "").endswith("postgresql"):
            raise ImproperlyConfigured(f'Environment variable "{name}" must be a postgresql:// URL.')
        return config

    def file(
        self, name: builtins.str, *args: Any, check: Callable[[Path], builtins.bool] = Path.is_file
    ) -> Any:
        """The path of something that exists on disk, by default a file."""
        value = self.str(name, *args)
        if value is None:
            return None
        path = Path(value)
        if not check(path):
            raise ImproperlyConfigured(
                f'Environment variable "{name}" names {value}, which is not there or not readable.'
            )
        return path


env = Environment()
