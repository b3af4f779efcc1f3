"""Which system calls engines allow: the profile of podman and buildah, much like Docker's, as the runtime wants it."""

from __future__ import annotations

import json
import platform
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

PROFILE = Path("/usr/share/containers/seccomp.json")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
NAMES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}


def engine_profile(capabilities: Collection[str]) -> dict[str, Any]:
    """What a container with these capabilities (`CAP_CHOWN`) may call."""
    profile = json.loads(PROFILE.read_text(encoding="utf-8"))
    machine = platform.machine()
    rules = [rule for rule in profile["syscalls"] if _applies(rule, ARCHITECTURES[machine], set(capabilities))]
    found = {
        "defaultAction": profile["defaultAction"],
        "architectures": [NAMES[machine]],
        "syscalls": [
            {key: rule[key] for key in ("names", "action", "args", "errnoRet") if rule.get(key) is not None}
            for rule in rules
        ],
    }
    if "defaultErrnoRet" in profile:
        found["defaultErrnoRet"] = profile["defaultErrnoRet"]
    return found


def _applies(rule: Mapping[str, Any], architecture: str, capabilities: set[str]) -> bool:
    only, never = rule.get("includes") or {}, rule.get("excludes") or {}
    if architecture not in (only.get("arches") or [architecture]) or architecture in (never.get("arches") or []):
        return False
    return capabilities.issuperset(only.get("caps") or []) and capabilities.isdisjoint(never.get("caps") or [])
