"""Writes the values.schema.json of every chart, so that what they share is written once.

python k8s/schema/generate.py           writes
python k8s/schema/generate.py --check   says which files differ, and exits with 1 if any does
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
CHARTS = HERE.parent / "charts"

Schema = dict[str, Any]
_SHORT: dict[str, Schema] = {
    "text": {"type": "string", "minLength": 1},
    **{name: {"$ref": f"#/definitions/{name}"} for name in ("count", "positive", "seconds", "url")},
}


def main() -> int:
    different = [
        path
        for path, text in schemas().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if "--check" in sys.argv[1:]:
        for path in different:
            print(f"{path.relative_to(HERE.parent)} is not what k8s/schema says; run k8s/schema/generate.py.")
        return 1 if different else 0
    for path in different:
        path.write_text(schemas()[path], encoding="utf-8")
        print(f"wrote {path.relative_to(HERE.parent)}")
    return 0


def schemas() -> dict[Path, str]:
    """Path and text of every values.schema.json."""
    services = _load("variables")
    every = services.pop("every")
    found = {name: _service(every, own) for name, own in services.items()}
    found["gateway"] = _merge(_load("chart"), _load("gateway"))
    found["shop"] = _load("shop")
    return {
        CHARTS / name / "values.schema.json": json.dumps(_complete(schema), indent=2) + "\n"
        for name, schema in found.items()
    }


def _service(every: Schema, own: Schema) -> Schema:
    settings = {**every["settings"], **own.get("settings", {})}
    definitions = {
        "settings": _variables(settings),
        "webSettings": _variables({**settings, **every["webSettings"]}),
        "workerSettings": _variables({**settings, **every["workerSettings"]}),
        "secrets": _references([*every["secrets"], *own.get("secrets", ())], "secretReference"),
        "files": _references([*every["files"], *own.get("files", ())], "secretReference"),
        "keys": _references([*every["keys"], *own.get("keys", ())], "name"),
    }
    schema = _merge(_load("chart"), _load("service"))
    if own.get("media"):
        schema = _merge(schema, _load("media"))
    if required := own.get("required"):
        schema["properties"]["settings"] = {**definitions["settings"], "required": required}
        schema["required"] = [*schema["required"], "settings"]
    return _merge(schema, {"definitions": definitions})


def _variables(kinds: dict[str, str | Schema]) -> Schema:
    properties = {
        name: _SHORT[kind] if isinstance(kind, str) else kind for name, kind in sorted(kinds.items())
    }
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _references(names: list[str], kind: str) -> Schema:
    properties = {name: {"$ref": f"#/definitions/{kind}"} for name in names}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _complete(schema: Schema) -> Schema:
    """With those definitions of common.yaml that it refers to, and those that these refer to."""
    common = _load("common")
    definitions = dict(schema.get("definitions", {}))
    while missing := _referred({**schema, "definitions": definitions}) - definitions.keys():
        definitions |= {name: common[name] for name in missing}
    return {**schema, "definitions": dict(sorted(definitions.items()))}


def _referred(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(_referred, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    here = {node["$ref"].rpartition("/")[2]} if isinstance(node.get("$ref"), str) else set()
    return here.union(*map(_referred, node.values()))


def _merge(first: Schema, second: Schema) -> Schema:
    """Objects are joined, lists are appended, and whatever else both hold is the second's."""
    merged = dict(first)
    for key, value in second.items():
        mine = merged.get(key)
        if isinstance(mine, dict) and isinstance(value, dict):
            merged[key] = _merge(mine, value)
        elif isinstance(mine, list) and isinstance(value, list):
            merged[key] = [*mine, *value]
        else:
            merged[key] = value
    return merged


def _load(name: str) -> Schema:
    loaded: Schema = yaml.safe_load((HERE / f"{name}.yaml").read_text(encoding="utf-8"))
    return loaded


if __name__ == "__main__":
    sys.exit(main())
