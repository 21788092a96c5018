"""storage: files appear complete or not at all; the bucket is a setting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile

from catalog.storage import AtomicFileSystemStorage, media_settings
from shared_lib.settings import env


@pytest.fixture
def storage(tmp_path: Path) -> AtomicFileSystemStorage:
    return AtomicFileSystemStorage(
        location=tmp_path, file_permissions_mode=0o644, base_url="http://shop.test/media/"
    )


def names(tmp_path: Path) -> list[str]:
    return sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())


def test_a_file_is_kept_under_its_name_and_replaced_by_the_same_name(storage: Any, tmp_path: Any) -> None:
    assert storage.save("a/b/1.jpg", ContentFile(b"first")) == "a/b/1.jpg"
    assert storage.save("a/b/1.jpg", ContentFile(b"second")) == "a/b/1.jpg"

    assert names(tmp_path) == ["a/b/1.jpg"]
    assert (tmp_path / "a/b/1.jpg").read_bytes() == b"second"
    assert storage.url("a/b/1.jpg") == "http://shop.test/media/a/b/1.jpg"


def test_a_write_that_breaks_off_leaves_what_was_there(storage: Any, tmp_path: Any) -> None:
    class Broken(ContentFile):  # type: ignore[type-arg]
        def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
            yield b"half"
            raise OSError("disk full")

    storage.save("1.jpg", ContentFile(b"whole"))

    with pytest.raises(OSError, match="disk full"):
        storage.save("1.jpg", Broken(b"", name="1.jpg"))

    assert names(tmp_path) == ["1.jpg"]
    assert (tmp_path / "1.jpg").read_bytes() == b"whole"


def test_the_bucket_is_chosen_by_the_environment(monkeypatch: Any) -> None:
    for name, value in {
        "MEDIA_STORAGE": "s3",
        "MEDIA_S3_BUCKET": "pictures",
        "MEDIA_S3_ENDPOINT_URL": "http://s3.test:9000",
        "MEDIA_URL": "https://cdn.test/pictures/",
    }.items():
        monkeypatch.setenv(name, value)

    chosen = media_settings(env, public_base_url="http://shop.test")

    assert chosen["STORAGES"]["default"]["BACKEND"] == "storages.backends.s3.S3Storage"
    assert chosen["STORAGES"]["default"]["OPTIONS"]["bucket_name"] == "pictures"
    assert chosen["STORAGES"]["default"]["OPTIONS"]["endpoint_url"] == "http://s3.test:9000"
    assert chosen["MEDIA_URL"] == "https://cdn.test/pictures/"


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"MEDIA_STORAGE": "tape"}, "MEDIA_STORAGE"),
        ({"MEDIA_STORAGE": "s3"}, "MEDIA_S3_BUCKET"),
        ({}, "MEDIA_ROOT"),
    ],
)
def test_what_is_missing_is_said(monkeypatch: Any, values: Any, name: Any) -> None:
    for variable in ("MEDIA_STORAGE", "MEDIA_ROOT", "MEDIA_S3_BUCKET", "MEDIA_URL"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in values.items():
        monkeypatch.setenv(variable, value)

    with pytest.raises(ImproperlyConfigured, match=name):
        media_settings(env, public_base_url="http://shop.test")
