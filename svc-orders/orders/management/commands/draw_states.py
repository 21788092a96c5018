"""`manage.py draw_states`: writes the pictures of the state machines into the README, from the tables in the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from orders.models import MACHINES, draw

BEGIN, END = "<!-- drawn by manage.py draw_states -->\n", "<!-- end -->\n"
README = Path(__file__).parents[3] / "README.md"


def drawn() -> str:
    """What stands between the two marks."""
    return "".join(f"\n{name}:\n\n```mermaid\n{draw(machine)}\n```\n" for name, machine in MACHINES.items())


class Command(BaseCommand):
    help = "Writes the pictures of the state machines into README.md of this folder."

    def handle(self, *args: Any, **options: Any) -> None:
        before, _, rest = README.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        README.write_text(f"{before}{BEGIN}{drawn()}{END}{after}")
