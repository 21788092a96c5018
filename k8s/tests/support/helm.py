"""Helm as a library: charts with their dependencies in a folder of their own, linted and rendered."""

from __future__ import annotations

import functools
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import helm_python
import yaml
from helm_python import _native

CHARTS = Path(__file__).resolve().parents[2] / "charts"
SERVICES = ("svc-accounts", "svc-cart", "svc-catalog", "svc-notifications", "svc-orders", "svc-payments")
APPLICATIONS = (*SERVICES, "gateway", "shop")

Values = dict[str, Any]
Manifest = dict[str, Any]


@dataclass(frozen=True)
class Rendered:
    """What Helm would send to Kubernetes, as parsed documents."""

    manifests: list[Manifest]
    notes: str

    def of(self, kind: str, name: str | None = None) -> list[Manifest]:
        return [
            one
            for one in self.manifests
            if one["kind"] == kind and (name is None or one["metadata"]["name"] == name)
        ]

    def one(self, kind: str, name: str) -> Manifest:
        (found,) = self.of(kind, name)
        return found

    @property
    def pods(self) -> dict[str, Manifest]:
        """Every pod or template of pods, by the name of the object that holds it."""
        return {one["metadata"]["name"]: one["spec"] for one in self.of("Pod")} | {
            one["metadata"]["name"]: one["spec"]["template"]["spec"]
            for kind in ("Deployment", "Job")
            for one in self.of(kind)
        }

    def environment(self, name: str) -> dict[str, Any]:
        """Variables of the only container of the pods of `name`: their values, or the reference to a Secret."""
        (container,) = self.pods[name]["containers"]
        entries = container["env"]
        assert len({entry["name"] for entry in entries}) == len(entries), "a variable stands twice"
        return {
            entry["name"]: entry["value"] if "value" in entry else entry["valueFrom"]["secretKeyRef"]
            for entry in entries
        }


class Folder:
    """A copy of the charts in which dependencies are built."""

    def __init__(self, target: Path) -> None:
        self.path = target / "charts"
        shutil.copytree(CHARTS, self.path, ignore=shutil.ignore_patterns("*.tgz", "Chart.lock"))
        for chart in APPLICATIONS:  # the umbrella packs the others, so it is the last one
            helm_python.dependency_update(self.path / chart, skip_refresh=True)

    def lint(self, chart: str, values: Values | None = None, kube: str | None = None) -> list[str]:
        """What a strict lint has against the chart."""
        report = helm_python.lint(self.path / chart, values, strict=True, kube_version=kube)
        return [*report["errors"], *(m["error"] for m in report["messages"] if m["severity"] > 1)]

    def render(self, chart: str, values: Values, kube: str = "1.29") -> Rendered:
        """Raises `helm_python.HelmError` for what Helm refuses."""
        return render(self.path / chart, values, kube)


def render(chart: Path, values: Values, kube: str = "1.29") -> Rendered:
    """A chart in a folder or an archive. Raises `helm_python.HelmError` for what Helm refuses."""
    # Loaded anew each time: what a condition switches off is gone from the chart for good.
    with helm_python.Chart.load(chart) as loaded:
        # The library knows `kube_version`, which the method of its Python side doesn't pass on.
        options = {"name": "shop", "namespace": "shop", "kube_version": f"v{kube}.0"}
        files: dict[str, str] = json.loads(
            _native.call_string("helm_render", loaded._raw(), json.dumps(values), json.dumps(options))
        )
    notes = "\n".join(text for path, text in files.items() if path.endswith("NOTES.txt"))
    texts = [text for path, text in sorted(files.items()) if path.endswith(".yaml")]
    return Rendered([one for text in texts for one in _documents(text)], notes)


@functools.cache
def _documents(text: str) -> tuple[Manifest, ...]:
    """Most texts come again with the next values: they are parsed once, so nobody may change what comes from here."""
    return tuple(one for one in yaml.load_all(text, _OnceLoader) if one)


class _OnceLoader(yaml.CSafeLoader):
    """Refuses a mapping with the same key twice, of which YAML readers silently take one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise yaml.constructor.ConstructorError(None, None, f"twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep=deep)
