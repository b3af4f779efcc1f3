"""A network of the test's own: a bridge for the database, and a namespace with its own link for each worker."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.doubles.databases import PostgresServer
from tests.support import need, need_program, need_root

WAYS = {"both": ("INPUT", "OUTPUT"), "in": ("INPUT",), "out": ("OUTPUT",)}
"""Which way is cut off, as the worker sees it."""


class Network:
    """`cut` drops packets without a word, as a broken switch does; `heal` lets them pass again."""

    def __init__(self, workers: int) -> None:
        self._ip, self._iptables = need_program("ip"), need_program("iptables")
        self._mark = secrets.token_hex(3)
        self._net = f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(250)}"
        self._workers = workers
        self.address = f"{self._net}.1"
        self._bridge = f"lb{self._mark}"

    def build(self) -> None:
        self._run("link", "add", self._bridge, "type", "bridge")
        self._run("addr", "add", f"{self.address}/24", "dev", self._bridge)
        self._run("link", "set", self._bridge, "up")
        for number in range(self._workers):
            space, near, far = self.space(number), f"lv{self._mark}{number}", f"lw{self._mark}{number}"
            self._run("netns", "add", space)
            self._run("link", "add", near, "type", "veth", "peer", "name", far)
            self._run("link", "set", near, "master", self._bridge, "up")
            self._run("link", "set", far, "netns", space)
            for words in (
                ("addr", "add", f"{self._net}.{number + 10}/24", "dev", far),
                ("link", "set", far, "up"),
                ("link", "set", "lo", "up"),
            ):
                self._run("-n", space, *words)

    def destroy(self) -> None:
        for number in range(self._workers):
            with contextlib.suppress(subprocess.CalledProcessError):
                self._run("netns", "del", self.space(number))
        with contextlib.suppress(subprocess.CalledProcessError):
            self._run("link", "del", self._bridge)

    def space(self, number: int) -> str:
        return f"lease-{self._mark}-{number}"

    def command(self, number: int, *words: str) -> list[str]:
        """To run something in a worker's namespace, as that very process."""
        return [self._ip, "netns", "exec", self.space(number), *words]

    def python(self, number: int, *words: str) -> list[str]:
        return self.command(number, sys.executable, *words)

    def cut(self, number: int, way: str) -> None:
        for chain in WAYS[way]:
            self._firewall(number, "-A", chain, "-j", "DROP")

    def heal(self, number: int) -> None:
        self._firewall(number, "-F")

    def _firewall(self, number: int, *words: str) -> None:
        subprocess.run(self.command(number, self._iptables, "-w", *words), check=True, capture_output=True)

    def _run(self, *words: str) -> None:
        subprocess.run([self._ip, *words], check=True, capture_output=True)


@contextmanager
def network(workers: int) -> Iterator[Network]:
    need_root()
    made = Network(workers)
    try:
        try:
            made.build()
        except subprocess.CalledProcessError as exc:
            need(False, f"network namespaces ({exc.stderr.decode(errors='replace').strip()})")
        yield made
    finally:
        made.destroy()


class NetworkedPostgres(PostgresServer):
    """Also listens on an address of the test's network, for whoever comes from there."""

    def __init__(self, folder: Path, address: str) -> None:
        super().__init__(folder)
        self.address = address
        with (folder / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {address}/24 trust\n")
        self._pg_ctl("stop", "-m", "fast")
        self.start()

    def start(self) -> None:
        options = f"-h {self.address} -p 5432 -k {self._url.query['host']} -c max_connections=300"
        self._pg_ctl("start", "-l", str(self.folder / "log"), "-o", options)

    def network_url(self, database: str) -> str:
        url = self._url.set(database=database, host=self.address, port=5432, query={})
        return url.render_as_string(hide_password=False)
