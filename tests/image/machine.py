"""How this machine reaches its package registries, asked at run time and lent to a build, never written into it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support import need, need_program

PIP_NAMES = ("index-url", "extra-index-url", "find-links", "trusted-host", "proxy", "default-timeout", "retries")
ROOT_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True, kw_only=True)
class AptSource:
    """One `deb` line's worth."""

    uri: str
    suite: str
    component: str

    @property
    def line(self) -> str:
        return f"deb {self.uri} {self.suite} {self.component}"


def codename() -> str:
    found = re.search(r"^VERSION_CODENAME=(\w+)$", Path("/etc/os-release").read_text(encoding="utf-8"), re.MULTILINE)
    need(found, "a Debian with a code name")
    assert found is not None
    return found[1]


def apt_sources() -> list[AptSource]:
    """The distribution's own, as apt reads its settings; the first is the main one."""
    text = said("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages")
    rows = dict.fromkeys(tuple(line.split()) for line in text.splitlines())
    name = codename()
    found = [
        AptSource(uri=uri, suite=suite, component=component)
        for uri, suite, component in rows
        if component == "main" and suite.partition("-")[0] == name
    ]
    found.sort(key=lambda source: source.suite != name)
    need(found and found[0].suite == name, "an apt source for this machine's own distribution")
    return found


def lend_apt(folder: Path, base: Path) -> None:
    """Fill a folder to be mounted over `/etc/apt`: the base's keys, the machine's sources and ways to reach them."""
    shutil.copytree(base / "etc" / "apt", folder, symlinks=True)
    (folder / "sources.list").write_text("".join(f"{source.line}\n" for source in apt_sources()), encoding="ascii")
    ways = [line for line in said("apt-config", "dump", "Acquire").splitlines() if "IndexTargets" not in line]
    (folder / "apt.conf.d" / "50machine").write_text("\n".join(ways) + "\n", encoding="utf-8")


def lend_pip(folder: Path) -> None:
    """Fill a folder to be mounted over `/root`, where pip finds its settings.

    Indexes in folders of this machine stay outside: what a lock file names by hash comes from any other as well.
    """
    (folder / ".config" / "pip").mkdir(parents=True)
    shutil.copyfile(ROOT_CERTIFICATES, folder / "roots.crt")
    lines = ["[global]", "cert = /root/roots.crt"]
    told = said(sys.executable, "-m", "pip", "config", "list")
    settings = dict(re.findall(r"^[^=]*?\.([\w-]+)='(.*)'$", told, re.MULTILINE))
    for name in PIP_NAMES:
        words = settings.get(name, "").split()
        reachable = [word for word in words if not word.startswith(("/", "file:"))]
        if reachable:
            lines.append(f"{name} = {' '.join(reachable)}")
    (folder / ".config" / "pip" / "pip.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")


def said(program: str, *words: str) -> str:
    argv = [need_program(program), *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout
