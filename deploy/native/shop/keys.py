"""Key pairs: one for each service's calls to the others, one that signs access tokens."""

import os
from pathlib import Path

from shop.layout import Layout

JWT_KEY = "jwt"


def private_key(layout: Layout, name: str) -> Path:
    return layout.keys / "private" / f"{name}.pem"


def public_keys(layout: Layout) -> Path:
    """The folder of the public keys of all services."""
    return layout.keys / "public"


def published_keys(layout: Layout) -> Path:
    """The folder of the public keys of access tokens beside the signing key's: the next before it signs, and the last after."""
    return layout.keys / "published"


def ensure_keys(layout: Layout, services: list[str]) -> None:
    """Make the EC P-256 pairs that are missing. A public key is always written from its private one."""
    published_keys(layout).mkdir(mode=0o755, exist_ok=True)
    missing = [
        name
        for name in (*services, JWT_KEY)
        if not private_key(layout, name).exists()
        or (name != JWT_KEY and not (public_keys(layout) / f"{name}.pem").exists())
    ]
    if not missing:
        return
    (layout.keys / "private").mkdir(mode=0o700, exist_ok=True)
    public_keys(layout).mkdir(mode=0o755, exist_ok=True)
    for name in missing:
        path = private_key(layout, name)
        if not path.exists():
            make_private(path)
        if name != JWT_KEY:
            write_public(path, public_keys(layout) / f"{name}.pem")


def make_private(path: Path) -> None:
    """A new EC P-256 key, for its owner only."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(path, 0o600, pem)


def write_public(private: Path, public: Path) -> None:
    """The public half of a private key, for everybody."""
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(private.read_bytes(), None)
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _write(public, 0o644, pem)


def _write(path: Path, mode: int, content: bytes) -> None:
    temporary = path.with_suffix(".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as stream:
        stream.write(content)
    temporary.replace(path)
