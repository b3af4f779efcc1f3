"""What is in the image, and what is not."""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from tests.image.build import SOURCE
from tests.image.conftest import Image
from tests.image.host import OWN_ID

OPT = "opt/takedown"
VOLUMES = ("var/lib/takedown", "etc/takedown")
STICKY = {"tmp", "var/tmp", "run/lock"}
"""Open to everybody in every Debian; on a read-only root only the first is there to be written, as a tmpfs."""
TOOLS = {
    *("as", "c++", "c99", "cc", "cmake", "cpp", "g++", "gcc", "gdb", "ld", "make"),
    *("curl", "git", "nc", "pip", "pip3", "ssh", "strace", "sudo", "uv", "wget"),
}
PACKAGES = {"_distutils_hack", "ensurepip", "pip", "pkg_resources", "pytest", "setuptools", "wheel"}
SECRETS = re.compile(rb"-----BEGIN (?:\w+ )?PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}|AGE-SECRET-KEY-1[A-Z0-9]{50}")
READ_BYTES = 1_000_000


def entries(root: Path, below: str = "") -> Iterator[Path]:
    yield from (root / below).rglob("*")


def digest(root: Path, below: str) -> str:
    """Names, kinds, modes, owners and bytes; not times, which a build gives anew."""
    found = hashlib.sha256()
    for path in sorted(entries(root, below)):
        facts = path.lstat()
        found.update(f"{path.relative_to(root)} {facts.st_mode:o} {facts.st_uid} {facts.st_gid}\n".encode())
        if path.is_symlink():
            found.update(str(path.readlink()).encode())
        elif path.is_file():
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def test_user_is_fixed_and_powerless(image: Image) -> None:
    assert image.config["User"] == f"{OWN_ID}:{OWN_ID}"
    users = dict(line.split(":", 1) for line in (image.tree / "etc/passwd").read_text().splitlines())
    assert users["takedown"] == f"x:{OWN_ID}:{OWN_ID}::/var/lib/takedown:/usr/sbin/nologin"
    members = (image.tree / "etc/group").read_text()
    assert [line for line in members.splitlines() if "takedown" in line] == [f"takedown:x:{OWN_ID}:"]


def test_nothing_lifts_rights(image: Image) -> None:
    lifting = stat.S_ISUID | stat.S_ISGID
    paths = [path for path in entries(image.tree) if path.is_file() and not path.is_symlink()]
    assert len(paths) > 1_000
    assert [path for path in paths if path.lstat().st_mode & lifting] == []


def test_only_volumes_are_the_users(image: Image) -> None:
    for path in entries(image.tree):
        facts, name = path.lstat(), str(path.relative_to(image.tree))
        if stat.S_ISLNK(facts.st_mode) or stat.S_ISCHR(facts.st_mode):
            continue
        ours = any(name == volume or name.startswith(f"{volume}/") for volume in VOLUMES)
        assert (facts.st_uid == OWN_ID or facts.st_gid == OWN_ID) == ours, name
        assert stat.S_IMODE(facts.st_mode) & stat.S_IWOTH == 0 or name in STICKY, name


def test_volumes_are_closed_and_empty(image: Image) -> None:
    folders = [image.tree / name for name in VOLUMES] + [path for name in VOLUMES for path in entries(image.tree, name)]
    assert all(path.is_dir() and stat.S_IMODE(path.stat().st_mode) == 0o700 for path in folders)


def test_builders_tools_stay_behind(image: Image) -> None:
    programs = {
        path.name for folder in ("usr/bin", "usr/sbin", f"{OPT}/bin") for path in (image.tree / folder).iterdir()
    }
    assert {"python3", "takedown-receiver"} <= programs
    assert programs & TOOLS == set()
    assert [name for name in programs if re.search(r"-(gcc|ld|pip)", name)] == []
    libraries = {
        path.name.partition("-")[0]
        for path in entries(image.tree)
        if path.parent.name.endswith(("-packages", "python3.11"))
    }
    assert "receiver" in libraries
    assert libraries & PACKAGES == set()


def test_only_what_it_needs_is_ours(image: Image) -> None:
    """No tests, no history, no documents of the source folder."""
    site = next((image.tree / OPT / "lib").glob("python3.*/site-packages"))
    of_wheel = (next(site.glob("takedown_receiver-*.dist-info")) / "RECORD").read_text().splitlines()
    tops = {line.partition("/")[0] for line in of_wheel if not line.startswith("..")}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"adapters", "receiver"}
    assert not (image.tree / "src").exists()
    assert not (image.tree / "tools").exists()
    assert not (image.tree / "wheels").exists()
    assert [path for path in entries(image.tree) if path.name in {".git", ".env", ".venv"}] == []


def test_no_secret_is_inside(image: Image) -> None:
    files = [path for path in entries(image.tree) if path.is_file() and not path.is_symlink()]
    named = [path for path in files if path.suffix in {".key", ".pem"} and path.name != "cacert.pem"]
    assert [path for path in named if "ssl/certs" not in str(path)] == []
    small = [path for path in files if path.lstat().st_size <= READ_BYTES]
    assert [path for path in small if SECRETS.search(path.read_bytes())] == []
    assert not [line for line in image.config["Env"] if re.search("KEY|SECRET|TOKEN|PASSWORD", line)]


def test_what_the_machine_lent_is_gone(image: Image) -> None:
    for name in ("root", "etc/apt"):
        assert digest(image.tree, name) == digest(image.base, name), name
    assert [path for path in entries(image.tree) if path.name in {"pip.conf", "roots.crt"}] == []
    assert list(entries(image.tree, "var/lib/apt/lists")) == []
    assert [path for path in entries(image.tree, "var/cache/apt") if path.suffix in {".deb", ".bin"}] == []


def test_second_build_makes_the_same_bytes(image: Image) -> None:
    assert digest(image.tree, OPT) == digest(image.first, OPT)


def test_documents_state_the_size(image: Image) -> None:
    text = (SOURCE / "docs" / "operating.md").read_text(encoding="utf-8")
    stated = re.search(r"about (\d+) MB", text)
    assert stated is not None
    assert abs(sum(image.layer_bytes) / 1e6 / int(stated[1]) - 1) < 0.1
