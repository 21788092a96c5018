"""Where pictures are kept: a folder that the gateway serves, or a bucket."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

from django.core.files import File
from django.core.files.storage import FileSystemStorage
from marshmallow.validate import OneOf

_S3 = "MEDIA_STORAGE is s3"
_MEDIA_URL = "where clients read pictures; has no default where MEDIA_STORAGE is s3"


class AtomicFileSystemStorage(FileSystemStorage):
    """A file appears under its name complete, with its final permissions, or not at all.

    Names are made from the content's owner and never reused for other content, so writing one again replaces it by the
    same picture.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_overwrite": True, **options})

    def _save(self, name: str, content: File[Any]) -> str:
        final = PurePosixPath(name)
        partial = str(final.with_name(f".{final.name}.{uuid4().hex}"))
        try:
            super()._save(partial, content)  # type: ignore[misc]  # not in the stubs
            Path(self.path(partial)).replace(self.path(name))
        except BaseException:
            self.delete(partial)
            raise
        return name


def media_settings(env: Any, *, public_base_url: str) -> dict[str, Any]:
    """STORAGES and what belongs to it. `MEDIA_STORAGE` is `filesystem` (default, needs MEDIA_ROOT) or `s3`.

    For `s3`: MEDIA_S3_BUCKET and MEDIA_URL (where clients read the bucket) are needed, MEDIA_S3_ENDPOINT_URL and
    MEDIA_S3_REGION may be given; credentials come from boto3's own chain. Raises `ImproperlyConfigured`.
    """
    kind = env.str(
        "MEDIA_STORAGE", "filesystem", validate=OneOf(["filesystem", "s3"]), help="where pictures are kept"
    )
    shared: dict[str, Any] = {"FILE_UPLOAD_PERMISSIONS": 0o644, "FILE_UPLOAD_DIRECTORY_PERMISSIONS": 0o755}
    if kind == "filesystem":
        backend: dict[str, Any] = {"BACKEND": "catalog.storage.AtomicFileSystemStorage"}
        shared["MEDIA_ROOT"] = env.str(
            "MEDIA_ROOT",
            when="MEDIA_STORAGE is filesystem",
            help="the folder of pictures; the gateway serves it",
        )
        shared["MEDIA_URL"] = env.url("MEDIA_URL", f"{public_base_url}/media", help=_MEDIA_URL) + "/"
    else:
        options = {
            "bucket_name": env.str("MEDIA_S3_BUCKET", when=_S3, help="the bucket"),
            "endpoint_url": env.str(
                "MEDIA_S3_ENDPOINT_URL", None, when=_S3, help="where the bucket is, if not at AWS"
            ),
            "region_name": env.str("MEDIA_S3_REGION", None, when=_S3, help="its region"),
            "querystring_auth": False,
            "object_parameters": {"CacheControl": "public, max-age=31536000, immutable"},
        }
        backend = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
        shared["MEDIA_URL"] = env.url("MEDIA_URL") + "/"
    static = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    return {**shared, "STORAGES": {"default": backend, "staticfiles": static}}
