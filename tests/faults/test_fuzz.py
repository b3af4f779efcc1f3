"""Every parser under a fuzzer that sees which lines it reaches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.fuzz.harness import FaultFoundError
from tests.faults.fuzz.parsers import BY_HAND, ELSEWHERE, ROOT, found_in_code
from tests.faults.fuzz.planted import PLANTED
from tests.faults.fuzz.register import ALL, HARNESSES
from tests.faults.scale import SEED, TORTURE

SECONDS, RUNS = (600, -1) if TORTURE else (int(os.environ.get("FUZZ_SECONDS", "1")), 20_000)
"""The sample is bound by runs, so that a faster machine tries no more of a seed than another."""
PLANTED_SECONDS = 60
JOBS = 2
FOUND_FAULT = 77
"""libFuzzer's way of saying that an exception came through."""


@dataclass(frozen=True, kw_only=True)
class Fuzzed:
    folder: Path
    codes: dict[str, int]

    def runs(self, name: str) -> int:
        mark = "number_of_executed_units:"
        return sum(int(line.split()[-1]) for line in self.log(name).splitlines() if mark in line)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def told(self, name: str) -> str:
        """What to know of a fault: its traceback, and the bytes that show it."""
        inputs = {path.name: path.read_bytes()[:4096] for path in self.folder.glob(f"{name}-*")}
        return f"SEED={SEED} {name}\n{self.log(name)[-3000:]}\n{inputs}"


def run(folder: Path, names: list[str], *, seconds: int, runs: int = -1) -> Fuzzed:
    how = [str(seconds), str(runs), str(SEED % 2**31), str(JOBS)]
    command = [sys.executable, "-m", "tests.faults.fuzz.run", str(folder), *how]
    limit = 900 + 3 * seconds * len(names) / JOBS
    done = subprocess.run([*command, *names], cwd=ROOT, capture_output=True, text=True, timeout=limit, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return Fuzzed(folder=folder, codes=json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Fuzzed]:
    found = run(tmp_path_factory.mktemp("fuzz"), list(HARNESSES), seconds=SECONDS, runs=RUNS)
    yield found
    capture = request.config.pluginmanager.getplugin("capturemanager")
    total = sum(found.runs(name) for name in HARNESSES)
    with capture.global_and_fixture_disabled():
        sys.stdout.write(f"\nfuzzed {len(HARNESSES)} harnesses, {SECONDS} s each, {total} inputs, SEED={SEED}\n")


@pytest.mark.parametrize("name", HARNESSES)
def test_parser_keeps_its_promise(fuzzed: Fuzzed, name: str) -> None:
    assert fuzzed.codes[name] == 0, fuzzed.told(name)
    assert fuzzed.runs(name) >= len(HARNESSES[name].seeds), "the fuzzer ended before it began"


def test_planted_bugs_are_found(tmp_path: Path) -> None:
    found = run(tmp_path, list(PLANTED), seconds=PLANTED_SECONDS)
    assert found.codes == dict.fromkeys(PLANTED, FOUND_FAULT), [found.told(name) for name in PLANTED]
    words = {"planted_exception": "KeyError", "planted_canonical": "FaultFoundError", "planted_hang": "took more than"}
    assert all(word in found.log(name) for name, word in words.items())


def test_every_parser_has_a_harness() -> None:
    """What reads foreign bytes is found in the code; each is driven by a harness or says why not."""
    covered = {place for harness in HARNESSES.values() for place in harness.covers}
    found = found_in_code()
    assert found - covered - ELSEWHERE.keys() == set(), "write a harness"
    assert BY_HAND - covered == set(), "write a harness"
    assert covered - found - BY_HAND == set(), "these are gone, or read nothing any more"
    assert ELSEWHERE.keys() - found == set(), "these are gone, or read nothing any more"


def test_named_parsers_exist() -> None:
    for place in BY_HAND | ELSEWHERE.keys():
        path, _, function = place.partition(":")
        assert f"def {function}(" in (ROOT / path).read_text(), place


def test_seeds_are_understood() -> None:
    for harness in HARNESSES.values():
        for seed in harness.seeds:
            harness(seed)


_FAR = b"1 Jan 99999999999999999999 0:0"

MENDED = (
    # A date beyond every calendar is an OverflowError to the standard library.
    ("retry_after", _FAR),
    ("callback_answers", _FAR),
    ("s3_dates", _FAR),
    # `strip` takes U+001C to U+001F for blanks, and `int` does not.
    ("looks", b"\x1c0"),
    # `isdigit` is true for digits that `int` does not take.
    ("s3_words", b"held///\xc2\xb2"),
    # JSON of another shape than ours is walked and counted all the same.
    ("nginx_book", b'{"v":1,"ops":[]}'),
    ("filesystem_record", b'{"v":1,"names":[],"links":[5],"locator":{"b64":""},"scope":{"b64":""}}'),
    # A key without a sign between scheme and host reads both ways.
    ("nginx_cache_keys", b"\x05\0http://sim//im//i/m//im"),
    # A sealed column cut to less than nonce and tag is no InvalidTag to the library.
    ("encrypted_columns", b"\x01cut"),
)
"""Inputs that the fuzzer found once."""


@pytest.mark.parametrize(("name", "data"), MENDED, ids=[name for name, _ in MENDED])
def test_what_was_found_stays_mended(name: str, data: bytes) -> None:
    HARNESSES[name](data)


def test_harness_names_are_unlike() -> None:
    assert len(ALL) == len(HARNESSES) + len(PLANTED)
    with pytest.raises(FaultFoundError):
        PLANTED["planted_canonical"](b"/a///b")
