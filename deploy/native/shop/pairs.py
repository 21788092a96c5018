"""Key pairs that are being replaced, as files: what there is says which step is next."""

import time
from dataclasses import dataclass
from pathlib import Path

from shop.keys import JWT_KEY, make_private, private_key, public_keys, published_keys, write_public
from shop.layout import Layout


@dataclass(frozen=True)
class Pair:
    """The pair of a service or of access tokens, whose private half is `private`.

    Beside it lies the next one until it is in use; its public half, and after that the one of the last pair, are in `folder`
    under names that whoever verifies looks for.
    """

    private: Path
    folder: Path
    name: str

    @classmethod
    def of(cls, layout: Layout, name: str) -> "Pair":
        folder = published_keys(layout) if name == JWT_KEY else public_keys(layout)
        return cls(private_key(layout, name), folder, name)

    @property
    def next_private(self) -> Path:
        return self.private.with_suffix(".next.pem")

    @property
    def next_public(self) -> Path:
        return self.folder / f"{self.name}.next.pem"

    @property
    def previous_public(self) -> Path:
        return self.folder / f"{self.name}.previous.pem"

    @property
    def under_way(self) -> bool:
        return self.next_private.exists() or self.next_public.exists() or self.previous_public.exists()

    def draw(self) -> None:
        """The next pair, whose public half is believed from now on. Again it makes what is missing of it."""
        if not self.under_way:
            make_private(self.next_private)
        if self.next_private.exists():
            write_public(self.next_private, self.next_public)

    def swap(self) -> None:
        """The next pair is the one in use, and the last one's public half is still believed."""
        if self.next_private.exists():
            write_public(self.private, self.previous_public)
            self.next_private.replace(self.private)
        if self.next_public.exists():
            if self.name != JWT_KEY:
                write_public(self.private, self.folder / f"{self.name}.pem")
            self.next_public.unlink()

    def age(self) -> float:
        """Seconds since the last pair was in use; 0 where there is none any more."""
        return time.time() - self.previous_public.stat().st_mtime if self.previous_public.exists() else 0.0

    def retire(self) -> None:
        self.previous_public.unlink(missing_ok=True)
