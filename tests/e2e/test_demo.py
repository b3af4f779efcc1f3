"""`make demo`: everything happens, it can be killed, and nothing it wrote names what was taken down."""

from __future__ import annotations

import base64
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from receiver.demo.clearing import thaw
from receiver.demo.commands import environment
from receiver.demo.issuer import Desk
from receiver.demo.places import HOST, Places
from tests.e2e.stand import runs
from tests.support import need_program, wait_until

SECONDS = 120
STEPS = (
    "200 through",
    "notice sent",
    "signed receipt",
    "404 at the web server",
    "evidence sealed",
    "callback `disabled` received, signature verified",
    "vault verified",
    "ledger verified",
)
WITHOUT_SERVERS = (
    "import receiver.demo.places as places; places.PROGRAM_PATH = '/nowhere'\n"
    "from receiver.demo.__main__ import main; main()"
)
WITHOUT_TIME = "import receiver.demo.show as show; show.LIMIT_SECONDS = 0.001\n" + WITHOUT_SERVERS


def run_demo(*words: str | Path, start: tuple[str, ...] = ("-m", "receiver.demo")) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, *start, *map(str, words)]
    return subprocess.run(argv, env=environment(), capture_output=True, text=True, timeout=SECONDS, check=False)


class LiveDemo:
    """A demo that goes on, and what it has printed."""

    def __init__(self, folder: Path, *words: str) -> None:
        argv = [sys.executable, "-m", "receiver.demo", "--dir", str(folder), *words]
        self.process = subprocess.Popen(
            argv, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(line.rstrip("\n") for line in self.process.stdout)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, words: str) -> None:
        wait_until(lambda: words in self.text or self.process.poll() is not None, words, seconds=SECONDS)
        assert words in self.text, self.text

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(SECONDS)
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@contextmanager
def live_demo(folder: Path, *words: str) -> Iterator[LiveDemo]:
    demo = LiveDemo(folder, *words)
    try:
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.end(signal.SIGTERM)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "demo"
    thaw(tmp_path)


def test_once_shows_the_whole_chain(folder: Path) -> None:
    for name in ("nginx", "varnishd"):
        need_program(name)
    ended = run_demo("--once", "--dir", folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    places = [ended.stdout.find(step) for step in STEPS]
    assert -1 not in places, ended.stdout
    assert "404 at Varnish" in ended.stdout
    assert "a real nginx" in ended.stdout
    assert_nothing_named(folder)
    assert not list((folder / "run").glob("*.pid"))


def test_built_in_site_says_so(folder: Path) -> None:
    ended = run_demo("--once", "--dir", folder, start=("-c", WITHOUT_SERVERS))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "site: built in, since nginx is not installed" in ended.stdout
    assert all(step in ended.stdout for step in STEPS)
    assert_nothing_named(folder)


def test_killed_demo_goes_on_where_it_was(folder: Path) -> None:
    with live_demo(folder, "--once") as demo:
        demo.wait_for("notice sent")
        pids = [int(path.read_text()) for path in (folder / "run").glob("*.pid")]
        demo.end(signal.SIGKILL)
    wait_until(lambda: not any(runs(pid) for pid in pids), "its servers end with it", seconds=20)
    job = Desk(Places(root=folder)).next_job()
    assert job.is_continued
    ended = run_demo("--once", "--dir", folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"going on with notice {job.notice_id}" in ended.stdout
    heard = [json.loads(line) for line in (folder / "issuer" / "heard.jsonl").read_text().splitlines() if line]
    assert len({(line["id"], line["sequence"]) for line in heard}) == 1
    assert_nothing_named(folder)


def test_staff_pages_name_nothing(folder: Path) -> None:
    with live_demo(folder) as demo:
        demo.wait_for("Ctrl-C ends all of it")
        base = re.search(r"Admin pages: (http://127\.0\.0\.1:\d+)/", demo.text)
        password = re.search(r"one-time password (\S+)", demo.text)
        assert base is not None, demo.text
        assert password is not None, demo.text
        pages = staff_pages(base[1], password[1], Places(root=folder))
        assert demo.end(signal.SIGINT) == 0, demo.text
    assert {"/metrics", "/cases/", "/ledger"} <= pages.keys()
    clear = [f"http://{HOST}", HOST, "\\u0068ttp"]
    for path, text in pages.items():
        assert not [word for word in clear if word in text], path
        assert "<img" not in text, path
    assert_nothing_named(folder)


def staff_pages(base: str, password: str, places: Places) -> dict[str, str]:
    """Everything a person can read there, and what machines can."""
    own = "these seven words are nobody else's secret"
    found = {}
    with requests.Session() as session:
        session.trust_env = False
        _post(session, f"{base}/sign-in", {"name": "demo", "password": password})
        _post(session, f"{base}/account/password", {"old": password, "new": own, "again": own})
        todo = ["/", "/metrics"]
        while todo:
            path = todo.pop(0)
            answer = session.get(base + path, timeout=10)
            assert answer.status_code == 200, (path, answer.status_code)
            found[path] = answer.text
            links = re.findall(r'href="(/[^"?#]*)', answer.text)
            todo += [link for link in dict.fromkeys(links) if link not in found and link not in todo]
    assert any(path.startswith("/cases/") and len(path) > len("/cases/") for path in found), "no case page"
    log = (places.logs / "receiver.log").read_text()
    assert password not in log
    return found


def _post(session: requests.Session, address: str, fields: dict[str, str]) -> None:
    form = session.get(address, timeout=10).text
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form)
    assert token is not None
    answer = session.post(address, data={**fields, "csrf_token": token[1]}, timeout=10)
    assert answer.status_code == 200, answer.text


def assert_nothing_named(folder: Path) -> None:
    """No URL in clear and no content in anything the demo wrote, but where it has to be.

    That is: the issuer's own notice; the web server's rule that refuses the URL, and the agent's book of these rules;
    what is held in quarantine, with its record of where it belongs. The host alone stands in the settings.
    """
    must = [folder / "issuer", folder / "site" / "servers" / "gate", folder / "site" / "quarantine"]
    notices = [json.loads(path.read_text()) for path in (folder / "issuer" / "notices").glob("*.json")]
    held = [path.read_bytes() for path in (folder / "site" / "quarantine").glob("*/0")]
    assert notices
    assert len(held) == len(notices)
    clear = [form for notice in notices for form in spellings(notice["items"][0]["url"])]
    content = [body[at : at + 24] for body in held for at in (60, len(body) // 2, len(body) - 60)]
    files = [path for path in folder.rglob("*") if path.is_file() and not any(map(path.is_relative_to, must))]
    assert {"receiver.db", "receiver.log"} <= {path.name for path in files}
    for path in files:
        data = path.read_bytes()
        named = [form for form in (*clear, *content) if form in data]
        assert not named, f"{path.relative_to(folder)} holds {named[0]!r}"
        if HOST.encode() in data:
            assert path.name == "nginx.conf" or path.parent.name == "conf.d", path.relative_to(folder)


def spellings(url: str) -> Iterator[bytes]:
    """The URL's tail, which is found in every longer form too: plain, in hex, and in the three alignments of Base64."""
    name = url.rpartition("/")[2].encode()
    yield name
    yield name.hex().encode()
    for shift in range(3):
        yield base64.b64encode(b"x" * shift + name)[4:-4]


def test_what_did_not_happen_is_said(folder: Path) -> None:
    ended = run_demo("--once", "--dir", folder, start=("-c", WITHOUT_TIME))
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "missing: a signed callback that says disabled" in ended.stdout
    assert "missing: a verified ledger" in ended.stdout
    assert "Not everything happened." in ended.stdout


def test_foreign_folder_is_left_alone(folder: Path) -> None:
    """What cannot be started ends in words, not in a trace."""
    folder.mkdir()
    (folder / "something").touch()
    ended = run_demo("--once", "--dir", folder)
    assert ended.returncode == 1
    assert "no demo made" in ended.stderr
    assert "Traceback" not in ended.stderr
