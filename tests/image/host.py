"""One host that runs compose.yaml: its folder of settings, its volumes, its containers."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from receiver.demo.clearing import thaw
from tests.image.compose import Mount, Service, read_services
from tests.image.oci import Container, Run, Runtime
from tests.support import free_port

OWN_ID = 10001


class Host:
    """Differs from a real one in this: containers share the machine's network, so faces listen on free ports."""

    def __init__(self, folder: Path, tree: Path, image: Mapping[str, Any]) -> None:
        self.folder, self._tree, self._image = folder, tree, image
        self.settings = folder / "takedown"
        self.files = folder / "srv"
        self.public_port, self.admin_port = free_port(), free_port()
        for path in (self.settings, self.files, folder / "volumes"):
            path.mkdir(parents=True)
        # As docs/operating.md says: install -d -o 10001 -g 10001 -m 700 takedown
        os.chown(self.settings, OWN_ID, OWN_ID)
        self.settings.chmod(0o700)
        self.services = read_services({"TAKEDOWN_FILES": str(self.files)})
        self._runtime = Runtime(folder / "containers", tree)
        self._containers: list[Container] = []

    def start(self, service: str, *command: str, entrypoint: tuple[str, ...] = ()) -> Container:
        """`command` in place of the service's own, `entrypoint` in place of the image's."""
        container = self._runtime.start(self.run_of(self.services[service], command, entrypoint))
        self._containers.append(container)
        return container

    def cli(self, *words: str) -> str:
        """`docker compose run --rm cli …`, which has to succeed."""
        code, said = self.ask(*words)
        assert code == 0, said
        return said

    def ask(self, *words: str, service: str = "cli", entrypoint: tuple[str, ...] = ()) -> tuple[int, str]:
        """Exit code and all it said."""
        container = self.start(service, *words, entrypoint=entrypoint)
        return container.wait(), container.log

    def health(self, container: Container) -> int:
        """What an engine does every 30 seconds; 0 means healthy."""
        kind, *words = self._image["Healthcheck"]["Test"]
        assert kind == "CMD"
        return container.exec(*words).returncode

    def container(self, service: str) -> Container:
        """The one of this service that runs."""
        return next(found for found in self._containers if found.name == service and found.is_running)

    def end(self) -> None:
        for container in reversed(self._containers):
            container.end()
        thaw(self.folder)

    def run_of(self, service: Service, command: tuple[str, ...] = (), entrypoint: tuple[str, ...] = ()) -> Run:
        ports = {"PUBLIC_BIND": self.public_port, "ADMIN_BIND": self.admin_port}
        own = dict(line.split("=", 1) for line in self._image["Env"])
        faces = {f"TAKEDOWN_SERVER__{name}": f"0.0.0.0:{port}" for name, port in ports.items()}
        uid, _, gid = (service.user or self._image["User"]).partition(":")
        return Run(
            name=service.name,
            words=[*(entrypoint or self._image["Entrypoint"]), *(command or service.command)],
            uid=int(uid),
            gid=int(gid),
            environment=own | dict(service.environment) | faces,
            workdir=self._image["WorkingDir"],
            capabilities=service.cap_add,
            mounts=[self._lie(mount) for mount in service.mounts],
            tmpfs=service.tmpfs,
            has_network=service.has_network,
        )

    def _lie(self, mount: Mount) -> Mount:
        """Where it lies on this host. A new volume begins as what the image has in that place, as engines do it."""
        if not mount.is_volume:
            return dataclasses.replace(mount, source=str(self.folder / mount.source))
        place = self.folder / "volumes" / mount.source
        if not place.exists():
            inside = self._tree / mount.target.lstrip("/")
            shutil.copytree(inside, place, symlinks=True)
            for path in (inside, *inside.rglob("*")):
                copied = place / path.relative_to(inside)
                os.chown(copied, path.stat().st_uid, path.stat().st_gid)
        return dataclasses.replace(mount, source=str(place))
