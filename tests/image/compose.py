"""Reads compose.yaml as `docker compose` does, as far as it uses the language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SOURCE = Path(__file__).parents[2] / "compose.yaml"
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


@dataclass(frozen=True, kw_only=True)
class Mount:
    """`source` is a path on the host, or the bare name of a volume."""

    source: str
    target: str
    read_only: bool = False

    @property
    def is_volume(self) -> bool:
        return not self.source.startswith((".", "/"))


@dataclass(frozen=True, kw_only=True)
class Service:
    name: str
    command: tuple[str, ...]
    user: str
    """Empty: the image's own."""
    environment: Mapping[str, str]
    cap_add: frozenset[str]
    mounts: tuple[Mount, ...]
    """Secrets too: one is a file of the host, mounted to be read."""
    tmpfs: tuple[str, ...]
    raw: Mapping[str, Any]

    @property
    def has_network(self) -> bool:
        return self.raw.get("network_mode") != "none"


def read_services(variables: Mapping[str, str], source: Path = SOURCE) -> dict[str, Service]:
    text = _VARIABLE.sub(lambda found: variables.get(found[1], found[2] or ""), source.read_text(encoding="utf-8"))
    document = yaml.safe_load(text)
    secrets = {name: secret["file"] for name, secret in document["secrets"].items()}
    return {name: _service(name, raw, secrets) for name, raw in document["services"].items()}


def _service(name: str, raw: Mapping[str, Any], secrets: Mapping[str, str]) -> Service:
    mounts = [_mount(line) for line in raw.get("volumes", ())]
    mounts += [
        Mount(source=secrets[secret["source"]], target=secret["target"], read_only=True)
        for secret in raw.get("secrets", ())
    ]
    return Service(
        name=name,
        command=tuple(raw["command"]),
        user=raw.get("user", ""),
        environment=raw["environment"],
        cap_add=frozenset(raw.get("cap_add", ())),
        mounts=tuple(sorted(mounts, key=lambda mount: mount.target.count("/"))),
        tmpfs=tuple(raw.get("tmpfs", ())),
        raw=raw,
    )


def _mount(line: str) -> Mount:
    source, target, *mode = line.split(":")
    return Mount(source=source, target=target, read_only=mode == ["ro"])
