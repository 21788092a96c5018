"""`make rotate` of containers: how the steps of `shop.rotation` reach what runs there."""

import time

from containers import files, rolling
from containers.engine import Compose
from shop import services
from shop.envfile import prefix
from shop.layout import Layout
from shop.rotation import Rotation

_DEFINITIONS = "/run/secrets/rabbitmq-definitions.json"
#: Seconds that Nginx may take to read its files again.
_RELOAD_SECONDS = 2


class Containers(Rotation):
    """Through doors to the stores, whose `ports` are those of an env file; every container has its secrets as mounted files."""

    def __init__(
        self,
        layout: Layout,
        env: dict[str, str],
        compose: Compose,
        ports: dict[str, str],
        names: list[str],
        *,
        now: bool,
    ) -> None:
        super().__init__(layout, env, services.discover(layout.root), names, now=now)
        self._compose, self._ports = compose, ports

    def reach(self, service: str | None = None) -> dict[str, str]:
        found = {**self.env, **self._ports}
        return {**found, "POSTGRES_PORT": found[f"{prefix(service)}_POSTGRES_PORT"]} if service else found

    def servers(self) -> list[dict[str, str]]:
        return [self.reach(service) for service in self.services]

    def write(self) -> None:
        # In place: containers that run see it too.
        digest = files.write(self.layout, self.env, self.services)
        (files.folder(self.layout) / "applied").write_text(digest)

    def tell_broker(self) -> None:
        self.write()
        self._control("import_definitions", _DEFINITIONS)

    def forget_at_broker(self, users: list[str]) -> None:
        calls = ",".join(
            f'catch rabbit_auth_backend_internal:delete_user(<<"{user}">>, <<"runner">>)' for user in users
        )
        self._control("eval", f"{calls}.")

    def _control(self, *words: str) -> None:
        self._compose.do(
            *("exec", "--no-TTY", "rabbitmq", "rabbitmqctl", "--quiet", *words),
            doing=f"rabbitmqctl {words[0]}",
        )

    def tell_supervisor(self, new: str) -> None:
        """Containers have none."""

    def reload_gateway(self) -> None:
        self._compose.do("kill", "--signal", "HUP", "gateway", doing="Reloading the gateway")
        time.sleep(_RELOAD_SECONDS)

    def restart(self, names: list[str]) -> None:
        self.write()
        for service in names:
            rolling.restart(self._compose, service)

    def settle(self) -> None:
        self.write()
