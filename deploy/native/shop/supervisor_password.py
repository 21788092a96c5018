"""Loaded into the supervisor: its password can be replaced while it runs, which supervisord itself cannot."""

from typing import Any

from shop.supervisor import USER


class Interface:
    """The calls `shop.*` of the supervisor."""

    def __init__(self, supervisord: Any) -> None:
        self._supervisord = supervisord

    def change_password(self, password: str) -> bool:
        for _, server in self._supervisord.options.httpservers:
            for handler in server.handlers:
                if hasattr(handler, "authorizer"):
                    handler.authorizer.dict[USER] = password
        return True


def make(supervisord: Any, **_: str) -> Interface:
    return Interface(supervisord)
