"""The image is built once for all these tests; what it took and how big it is stands at the end of the run."""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.image.build import Builder, need_builder
from tests.image.host import Host
from tests.image.site import Site, begin, name_stores, open_site
from tests.support import wait_until

FIGURES = pytest.StashKey[list[str]]()
READY_SECONDS = 90.0
STORE_BYTES = 6 * 1024**3


@dataclass(frozen=True, kw_only=True)
class Image:
    config: dict[str, Any]
    tree: Path
    """All its files."""
    base: Path
    """Those of the base it stands on."""
    first: Path
    """The stage that made `/opt/takedown`, in a build of its own."""
    layer_bytes: list[int]


@contextlib.contextmanager
def in_memory(folder: Path) -> Iterator[None]:
    """Every layer is a whole copy: a disk takes minutes to write them, and as long to forget them."""
    argv = ["mount", "-t", "tmpfs", "-o", f"size={STORE_BYTES}", "tmpfs", str(folder)]
    free_kib = int(re.findall(r"MemAvailable: +([0-9]+)", Path("/proc/meminfo").read_text())[0])
    roomy = free_kib * 1024 > 2 * STORE_BYTES
    mounted = roomy and subprocess.run(argv, capture_output=True, check=False).returncode == 0
    try:
        yield
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="session")
def image(pytestconfig: pytest.Config) -> Iterator[Image]:
    need_builder()
    # No folder of pytest's, which keeps those of the last runs: this one holds a gigabyte.
    with tempfile.TemporaryDirectory(prefix="takedown-image-") as folder, in_memory(Path(folder)):
        builder = Builder(folder=Path(folder))
        builder.make_base()
        # The slow stage once; both builds after it find its packages installed.
        builder.build("python", "--target", "python", base="base")
        builder.build("first", "--target", "build", base="python")
        builder.build("takedown", base="python")
        built = Image(
            config=builder.config("takedown"),
            tree=builder.mounted("takedown"),
            base=builder.folder / "base",
            first=builder.mounted("first"),
            layer_bytes=builder.layer_bytes("takedown"),
        )
        sizes = ", ".join(f"{size / 1e6:.0f}" for size in built.layer_bytes)
        pytestconfig.stash[FIGURES] = [
            f"size {sum(built.layer_bytes) / 1e6:.0f} MB, in layers {sizes} MB from the base up",
            *(f"{seconds:6.1f} s  {part}" for part, seconds in builder.seconds.items()),
        ]
        yield built


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if FIGURES in config.stash:
        terminalreporter.section("the image")
        for line in config.stash[FIGURES]:
            terminalreporter.write_line(line)


@pytest.fixture
def fresh_host(image: Image, tmp_path: Path) -> Iterator[Host]:
    """As after the first two commands of docs/operating.md, "Container"."""
    host = Host(tmp_path / "host", image.tree, image.config)
    try:
        begin(host)
        host.cli("db", "upgrade")
        yield host
    finally:
        host.end()


@pytest.fixture(scope="module")
def site(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Every service of compose.yaml runs, and an issuer and a customer's site are there."""
    host = Host(tmp_path_factory.mktemp("site") / "host", image.tree, image.config)
    try:
        begin(host)
        name_stores(host)
        host.cli("db", "upgrade")
        with open_site(host) as opened:
            host.start("agent").wait_for_log("agent.started")
            host.start("worker").wait_for_log("worker.started")
            host.start("admin").wait_for_log("Booting worker")
            web = host.start("web")
            wait_until(lambda: host.health(web) == 0, "the public side is healthy", seconds=READY_SECONDS)
            yield opened
    finally:
        host.end()
