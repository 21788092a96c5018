"""Reading the environment: every variable is checked, and what is wrong is said in one sentence.

A variable may come as a file, as secrets of containers do: where NAME is not set, NAME_FILE names a file that holds its
value. One line break at the end does not belong to the value.

Whatever is read is remembered with its type, default and meaning: docs/settings.md is made from that, and a variable that
looks like a misspelt one is refused (`Environment.refuse_misspelt`).
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvError, EnvValidationError
from marshmallow.validate import OneOf, Range, Regexp

_KINDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "values separated by commas",
    "url": "an absolute URL",
    "database": "a postgresql:// URL",
    "file": "the path of a file",
    "folder": "the path of a folder",
}
#: Names this short are near too many others.
_SHORTEST_COMPARED = 6
_ALIKE = 0.9


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


def misspelt(given: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Those of `given` that are no known name but nearly one, with the name that was probably meant.

    Environments are full of variables of others, so that what resembles nothing here is nobody's mistake.
    """
    names = set(known) | {f"{name}_FILE" for name in known}
    found = {}
    for name in given:
        if name not in names and len(name) >= _SHORTEST_COMPARED:
            for meant in get_close_matches(name, names, n=1, cutoff=_ALIKE):
                found[name] = meant
    return found


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One variable as the code reads it. `wanted` says what a value must be; `default` is None where there is none.

    `only` is the process that reads it, where it is one; `when` the condition under which it is read.
    """

    name: str
    wanted: str
    default: str | None = None
    required: bool = False
    secret: bool = False
    help: str = ""
    only: str = ""
    when: str = ""


class Environment:
    """Typed access to environment variables on top of `environs`.

    Every method raises `ImproperlyConfigured` naming the variable when it is missing without a default or malformed. The
    value itself is never repeated in the message, since it may be a secret. Keywords beside those of `environs` describe
    the variable: `help`, `secret`, `only`, `when`.
    """

    def __init__(self) -> None:
        self._env = Env()
        #: By name, in the order in which they were first read.
        self.settings: dict[str, Setting] = {}

    def _read(
        self,
        kind: builtins.str,
        name: builtins.str,
        args: tuple[Any, ...],
        kwargs: dict[builtins.str, Any],
        method: builtins.str | None = None,
    ) -> Any:
        about = {key: kwargs.pop(key) for key in ("help", "secret", "only", "when") if key in kwargs}
        wanted = _wanted(kind, kwargs.get("validate"))
        default = None if not args or args[0] is None else _shown(args[0])
        setting = Setting(name=name, wanted=wanted, default=default, required=not args, **about)
        if name not in self.settings or setting.help:
            self.settings[name] = setting
        take_from_file(name)
        try:
            return getattr(self._env, method or kind)(name, *args, **kwargs)
        except EnvValidationError:
            raise ImproperlyConfigured(f'Environment variable "{name}" must be {wanted}.') from None
        except EnvError:
            raise ImproperlyConfigured(
                f'Environment variable "{name}" is not set, and there is no default.'
            ) from None

    def str(self, name: builtins.str, *args: Any, **kwargs: Any) -> Any:
        return self._read("str", name, args, kwargs)

    def secret(self, name: builtins.str, **kwargs: Any) -> Any:
        """Text that must be there, not empty, and shown to nobody."""
        value: builtins.str = self.str(name, secret=True, **kwargs)
        if not value.strip():
            raise ImproperlyConfigured(f'Environment variable "{name}" is empty; give it a value.')
        return value

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
        value = self._read("url", name, args, kwargs, "str")
        if value and "://" not in value:
            raise ImproperlyConfigured(f'Environment variable "{name}" must be an absolute URL.')
        return value.rstrip("/") if value else value

    def database(self, name: builtins.str, **kwargs: Any) -> dict[builtins.str, Any]:
        """A PostgreSQL URL as an entry of DATABASES."""
        config: dict[builtins.str, Any] = self._read(
            "database", name, (), {"secret": True, **kwargs}, "dj_db_url"
        )
        if not config.get("ENGINE", "").endswith("postgresql"):
            raise ImproperlyConfigured(f'Environment variable "{name}" must be a postgresql:// URL.')
        return config

    def file(
        self,
        name: builtins.str,
        *args: Any,
        check: Callable[[Path], builtins.bool] = Path.is_file,
        **kwargs: Any,
    ) -> Any:
        """The path of something that exists on disk, by default a file; None where it is empty and may be."""
        kind = "folder" if check is Path.is_dir else "file"
        value = self._read(kind, name, args, kwargs, "str")
        if not value and args:
            return None
        path = Path(value)
        if not value or not check(path):
            raise ImproperlyConfigured(
                f'Environment variable "{name}" names {value or "nothing"}, which is not there or not readable.'
            )
        return path

    def refuse_misspelt(self, environ: Mapping[builtins.str, builtins.str] = os.environ) -> None:
        """Raises `ImproperlyConfigured` for a variable that nobody reads and that resembles one that was read."""
        for name, meant in misspelt(environ, self.settings).items():
            raise ImproperlyConfigured(
                f'Environment variable "{name}" is not a setting here; {meant} is: correct the name or remove it.'
            )


def _wanted(kind: str, validate: Any) -> str:
    if isinstance(validate, OneOf):
        choices = [str(choice) for choice in validate.choices]
        return " or ".join((", ".join(choices[:-1]), choices[-1]))
    text = _KINDS[kind]
    if isinstance(validate, Regexp):
        return validate.error or text
    if isinstance(validate, Range):
        if validate.min is not None and validate.max is not None:
            return f"{text} from {validate.min} to {validate.max}"
        return (
            f"{text}, {validate.min} or more"
            if validate.min is not None
            else f"{text}, {validate.max} or less"
        )
    return text


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "true" if default else "false"
    if isinstance(default, list):
        return ",".join(map(str, default))
    return str(default)


env = Environment()
