"""Builds the image as its Dockerfile says, on a base of its own, where no container engine runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.image.machine import apt_sources, codename, lend_apt, lend_pip
from tests.support import need_program, need_root

SOURCE = Path(__file__).parents[2]
PROGRAMS = ("buildah", "crun", "debootstrap", "unshare")
STEP_SECONDS = 1_200
MACHINES_OWN_PIP = "/root"
MACHINES_OWN_APT = "/etc/apt"
# What `slim` bases leave out, so that the size measured here is comparable.
NOT_IN_SLIM = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian")
SLIM = "force-unsafe-io\n" + "".join(f"path-exclude /{name}/*\n" for name in NOT_IN_SLIM)


@dataclass(kw_only=True)
class Builder:
    """Everything lies below one folder: buildah's store too, so that nothing of it stays on the machine."""

    folder: Path
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each part took, for people."""

    def buildah(self, *words: str | Path) -> str:
        store = ("--storage-driver", "vfs", "--root", self.folder / "store", "--runroot", self.folder / "run")
        return self._run("buildah", *store, *words)

    def make_base(self) -> None:
        """A `debian:…-slim` of our own, as `localhost/base`."""
        root = self.folder / "base"
        with self._timed("debootstrap"):
            settings = root / "etc" / "dpkg" / "dpkg.cfg.d"
            settings.mkdir(parents=True)
            (settings / "slim").write_text(SLIM, encoding="ascii")
            self._run("debootstrap", "--variant=minbase", codename(), root, apt_sources()[0].uri)
            for name in (*NOT_IN_SLIM, "var/lib/apt/lists", "var/cache/apt"):
                shutil.rmtree(root / name, ignore_errors=True)
            for name in ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial"):
                (root / name).mkdir(parents=True)
        lend_apt(self.folder / "apt", root)
        lend_pip(self.folder / "pip")
        with self._timed("base as an image"):
            container = self.buildah("from", "scratch").strip()
            mounted = Path(self.buildah("mount", container).strip())
            self._run("cp", "-a", f"{root}/.", mounted)
            self.buildah("commit", "-q", container, "localhost/base")
            self.buildah("rm", container)

    def build(self, tag: str, *words: str, base: str) -> None:
        """One run of the Dockerfile; what the machine lends is mounted while it builds and stays outside."""
        lent = [f"{self.folder / 'pip'}:{MACHINES_OWN_PIP}:ro", f"{self.folder / 'apt'}:{MACHINES_OWN_APT}:ro"]
        mounts = [word for mount in lent for word in ("--volume", mount)]
        with self._timed(f"build of {tag}"):
            self.buildah(
                *("bud", "--isolation", "chroot", "--format", "docker", "--pull-never", *mounts),
                *("--build-arg", f"BASE=localhost/{base}", "--tag", f"localhost/{tag}", *words, str(SOURCE)),
            )

    def config(self, tag: str) -> dict[str, Any]:
        """What an engine reads: user, entry point, health check and so on."""
        image = json.loads(self.buildah("inspect", "--type", "image", f"localhost/{tag}"))
        found: dict[str, Any] = image["Docker"]["config"]
        return found

    def layer_bytes(self, tag: str) -> list[int]:
        """Unpacked, from the base up."""
        image = json.loads(self.buildah("inspect", "--type", "image", f"localhost/{tag}"))
        return [int(layer["size"]) for layer in json.loads(image["Manifest"])["layers"]]

    def mounted(self, tag: str) -> Path:
        """The image's whole tree, to be read."""
        with self._timed(f"copy of {tag}"):
            container = self.buildah("from", "--pull-never", f"localhost/{tag}").strip()
            return Path(self.buildah("mount", container).strip())

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.seconds[part] = time.monotonic() - begun

    def _run(self, program: str, *words: str | Path) -> str:
        argv = [need_program(program), *map(str, words)]
        where = {"TMPDIR": str(self.folder), "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(
            argv, env=os.environ | where, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=STEP_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise AssertionError(f"{program} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")
        return done.stdout


def need_builder() -> None:
    need_root()
    for program in PROGRAMS:
        need_program(program)
