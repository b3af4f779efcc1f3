"""Where everything of a demonstration lies, and whether a folder is new, to be continued, or not ours."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from receiver.demo.clearing import clear_folder
from receiver.demo.errors import DemoError

MARK = "DEMO.txt"
MARK_TEXT = (
    "Made by `make demo` of Takedown Receiver. All pictures in here are generated colour fields, all people and\n"
    "organisations are made up, and no key in here may be used for anything real. The folder may be deleted.\n"
)
HOST = "pictures.demo.example"
ISSUER = "demo-hotline"
PROGRAM_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"


def program(name: str) -> str | None:
    """Servers often lie in `sbin`, which is on root's path only."""
    return shutil.which(name, path=PROGRAM_PATH)


@dataclass(frozen=True, kw_only=True)
class Places:
    """A folder for each party: the receiver, the customer's site, the issuer; and the custodians apart."""

    root: Path

    @property
    def receiver(self) -> Path:
        return self.root / "receiver"

    @property
    def config(self) -> Path:
        return self.receiver / "config.toml"

    @property
    def vault(self) -> Path:
        return self.receiver / "data" / "vault"

    @property
    def docroot(self) -> Path:
        return self.root / "site" / "www"

    @property
    def quarantine(self) -> Path:
        """Beside the docroot: same filesystem, and no web server serves it."""
        return self.root / "site" / "quarantine"

    @property
    def servers(self) -> Path:
        return self.root / "site" / "servers"

    @property
    def deny_map(self) -> Path:
        return self.servers / "gate" / "deny.conf"

    @property
    def issuer(self) -> Path:
        return self.root / "issuer"

    @property
    def custodians(self) -> Path:
        """Never below the receiver's own folder: who may open evidence must be out of its reach."""
        return self.root / "custodians"

    @property
    def second(self) -> Path:
        return self.root / "second-disk"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def make(self) -> None:
        for folder in (
            *(self.docroot, self.quarantine, self.deny_map.parent, self.issuer / "notices", self.custodians),
            *(self.second / "checkpoints", self.run, self.logs),
        ):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a demonstration keeps from one start to the next: its settings name these ports and servers."""

    public_port: int
    admin_port: int
    origin_port: int
    front_port: int
    callback_port: int
    nginx: bool
    varnish: bool

    @property
    def origin_url(self) -> str:
        return f"http://127.0.0.1:{self.public_port}"

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}/"

    def save(self, places: Places) -> None:
        """Written last: a folder without it was never set up whole."""
        temporary = places.root / ".facts.json.new"
        temporary.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        temporary.rename(places.root / "facts.json")


def known_facts(places: Places) -> Facts | None:
    try:
        return Facts(**json.loads((places.root / "facts.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise DemoError(f"{places.root} is of another version of the demo; delete it and start again") from error


@contextmanager
def claimed(root: Path, *, keep: bool) -> Iterator[Places]:
    """The folder, for us alone. What an orderly ended run left is cleared away first, unless it is to be kept.

    A run that was killed left no such sign, and is continued.
    """
    places = Places(root=root.absolute())
    if places.root.exists() and any(places.root.iterdir()) and not (places.root / MARK).exists():
        raise DemoError(f"{places.root} holds something that no demo made; name another folder with --dir")
    places.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    (places.root / MARK).write_text(MARK_TEXT, encoding="utf-8")
    lock = os.open(places.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DemoError(f"another demo runs in {places.root}; end it, or name another folder with --dir") from error
        was_ended = (places.root / "ended").exists()
        if (was_ended and not keep) or known_facts(places) is None:
            clear_folder(places.root, spare=(MARK, "lock"))
        (places.root / "ended").unlink(missing_ok=True)
        places.make()
        yield places
    finally:
        os.close(lock)


def mark_ended(places: Places) -> None:
    (places.root / "ended").touch()
