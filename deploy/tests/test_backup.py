"""A backup that is not whole, or not of this shop, is refused with a sentence."""

import json
from pathlib import Path

import pytest

from backup import archive
from shop.backup import given

MANIFEST = archive.Manifest(
    made_at="2026-01-02T03:04:05.678Z",
    postgres="15",
    stood_still_seconds=0.01,
    migrations={"svc-cart": ["cart.0001_initial"], "svc-orders": []},
)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    (tmp_path / "databases").mkdir()
    (tmp_path / "databases" / "svc-cart.dump").write_bytes(b"rows")
    (tmp_path / "media.tar").write_bytes(b"pictures")
    archive.seal(tmp_path, MANIFEST)
    return tmp_path


def test_what_was_sealed_is_read_again(made):
    manifest = archive.read(made)
    assert manifest.services == ["svc-cart", "svc-orders"]
    assert manifest.files["media.tar"]["bytes"] == 8
    assert {oct(path.stat().st_mode & 0o077) for path in made.rglob("*")} == {"0o0"}


def test_a_restore_takes_over_the_keys_that_count_and_no_password_of_a_store(made, monkeypatch):
    monkeypatch.delenv("GATEWAY_PORT", raising=False)
    kept = {
        "DEMO_PASSWORD": "demo",
        "SVC_CART_SECRET_KEY": "now",
        "SVC_CART_SECRET_KEY_PREVIOUS": "before",
        "SVC_CART_SECRET_KEY_SINCE": "1",
        "SVC_CART__LOG_LEVEL": "DEBUG",
    }
    lost = {"POSTGRES_PASSWORD": "x", "SVC_CART_DATABASE_PASSWORD": "x", "SVC_CART__DATABASE_URL": "x://"}
    (made / archive.SECRETS).mkdir()
    (made / archive.SECRETS / "env").write_text(
        "".join(f"{name}={value}\n" for name, value in {**kept, **lost}.items())
    )
    assert given(made, MANIFEST) == kept


def change(made: Path, how: str) -> None:
    dump = made / "databases" / "svc-cart.dump"
    document = json.loads((made / archive.MANIFEST).read_text())
    match how:
        case "one byte":
            dump.write_bytes(b"rowz")
        case "cut short":
            dump.write_bytes(b"row")
        case "gone":
            dump.unlink()
        case "manifest changed":
            (made / archive.MANIFEST).write_text(json.dumps({**document, "made_at": "later"}))
        case "no manifest":
            (made / archive.MANIFEST).unlink()
        case "another format":
            archive.FORMAT, kept = "shop-backup/0", archive.FORMAT
            archive.seal(made, MANIFEST)
            archive.FORMAT = kept
        case "no folder":
            made.rename(made.with_name("elsewhere"))


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("one byte", "is damaged: databases/svc-cart.dump is not what was written."),
        ("cut short", "is damaged: databases/svc-cart.dump is not what was written."),
        ("gone", "is damaged: databases/svc-cart.dump is missing."),
        ("manifest changed", "is damaged: manifest.json is not the one that was sealed."),
        ("no manifest", "is no backup of a shop"),
        ("another format", "is not of the format shop-backup/1"),
        ("no folder", "is no backup of a shop"),
    ],
)
def test_a_damaged_backup_is_refused(made, how, sentence):
    change(made, how)
    with pytest.raises(archive.Refused, match=sentence):
        archive.read(made)


def test_a_backup_of_another_shop_or_a_newer_tree_is_refused(made):
    manifest = archive.read(made)
    archive.check_fit(
        made, manifest, {"svc-cart": {"cart.0001_initial", "cart.0002_more"}, "svc-orders": set()}
    )
    with pytest.raises(archive.Refused, match="is of another shop: it has svc-cart, svc-orders"):
        archive.check_fit(made, manifest, {"svc-cart": {"cart.0001_initial"}})
    with pytest.raises(
        archive.Refused, match=r"svc-cart had the migration cart\.0001_initial, which is not here"
    ):
        archive.check_fit(made, manifest, {"svc-cart": set(), "svc-orders": set()})
