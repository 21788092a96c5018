"""The description pages that the gateway serves: those of deploy/apidocs, with Swagger UI from its Python package."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from shop.layout import Layout
from shop.problems import Problem

SWAGGER = ("swagger-ui-bundle.js", "swagger-ui.css")


def folder(layout: Layout) -> Path:
    return layout.run / "docs"


def assemble(layout: Layout) -> None:
    """Put the pages together in the run folder, which the gateway reads."""
    source = layout.root / "deploy" / "apidocs" / "pages"
    target = folder(layout)
    shutil.copytree(source, target, dirs_exist_ok=True)
    shutil.copyfile(source / "asyncapi.json", target / "events" / "asyncapi.json")
    package = find_spec("drf_spectacular_sidecar")
    if package is None or package.origin is None:
        raise Problem("The package drf-spectacular-sidecar is missing in .local/venv: run `make venv`.")
    assets = Path(package.origin).parent / "static" / "drf_spectacular_sidecar" / "swagger-ui-dist"
    for name in SWAGGER:
        if not (target / "docs" / name).exists():
            shutil.copyfile(assets / name, target / "docs" / name)
