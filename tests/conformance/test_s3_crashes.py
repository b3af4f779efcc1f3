"""The process dies before any one call to the store; a new one, asked the same, finishes, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from adapters.conformance.environment import Setting, proof_for, read_all
from adapters.contract import AdapterError, BlockReceipt, Origin, Presence
from tests.conformance.s3_site import S3Environment, Site

MOST_CALLS = 80
BODY = b"second noise" * 50
OLD_BODY = b"first noise" * 40


class Died(BaseException):
    """The process is gone: nothing it does later, in a `finally` either, reaches the store."""


class Crash:
    """Counts calls and dies before the one after `calls`."""

    def __init__(self, environment: S3Environment) -> None:
        self._environment = environment
        self._left = -1
        environment.on_call = self._before

    def arm(self, calls: int) -> None:
        self._left = calls

    def over(self) -> None:
        self._left = -1
        self._environment.on_call = lambda operation, params: None

    def _before(self, operation: str, params: dict[str, Any]) -> None:
        del operation, params
        if self._left == 0:
            raise Died
        self._left -= 1


Begin = Callable[[], tuple[Setting, Crash]]

VARIANTS = {
    "policy": ("site-versions", ("policy",), 1),
    "tag": ("site-versions", ("tag",), 3),
    "move": ("site-versions", ("move",), 1),
    "move without versions": ("site-plain", ("move",), 2),
}
"""Bucket, ladder, and how many calls lie between two deaths: one where the variant has calls of its own."""


@pytest.fixture(params=list(VARIANTS), ids=list(VARIANTS))
def begin(request: pytest.FixtureRequest, s3_site: Site) -> Iterator[Begin]:
    """A new object in a part of its own, with an adapter whose process can be made to die."""
    bucket, ladder, _ = VARIANTS[request.param]
    made: list[S3Environment] = []

    def start() -> tuple[Setting, Crash]:
        environment = S3Environment(s3_site, s3_site.settings(bucket, ladder=ladder, settle_seconds=0.0))
        made.append(environment)
        environment.put(b"field.jpg", OLD_BODY)
        ref = environment.put(b"field.jpg", BODY)
        crash = Crash(environment)
        return Setting(adapter=environment.make(), environment=environment, ref=ref, body=BODY), crash

    yield start
    for environment in made:
        environment.close()


def each_crash(begin: Begin, run: Callable[[Setting, Crash, str, int], bool], step: int) -> int:
    """`run` dies after 0, 1, 2, … calls until it gets through; how many calls that took."""
    for calls in range(0, MOST_CALLS, step):
        setting, crash = begin()
        if run(setting, crash, f"op-{calls}-{setting.ref.scope.decode()[-4:]}", calls):
            return calls
    raise AssertionError("it never got through")


@pytest.fixture
def step(request: pytest.FixtureRequest) -> int:
    return VARIANTS[request.node.callspec.params["begin"]][2]


def died(crash: Crash, calls: int, act: Callable[[], object]) -> bool:
    crash.arm(calls)
    try:
        act()
    except Died:
        return True
    finally:
        crash.over()
    return False


def bodies(setting: Setting, receipt: Any) -> list[bytes]:
    found = []
    for pin in receipt.pins:
        with setting.adapter.open(setting.ref, pin) as reader:
            found.append(b"".join(iter(partial(reader.read, 4096), b"")))
    return found


def test_block_finishes_after_any_crash(begin: Begin, step: int) -> None:
    def run(setting: Setting, crash: Crash, op_id: str, calls: int) -> bool:
        seen = setting.adapter.observe(setting.ref)
        crashed = died(crash, calls, lambda: setting.adapter.block(setting.ref, seen, op_id))
        later = setting.restarted()
        receipt = later.adapter.block(setting.ref, seen, op_id)
        assert setting.restarted().adapter.block(setting.ref, seen, op_id) == receipt
        assert setting.environment.public_get(setting.ref)[0] in {403, 404}
        assert later.adapter.origin_state(setting.ref, receipt).origin is Origin.BLOCKED
        assert bodies(later, receipt) == [BODY, OLD_BODY][: len(seen.versions)]
        return not crashed

    assert each_crash(begin, run, step) > 10


def test_unblock_finishes_after_any_crash(begin: Begin, step: int) -> None:
    def run(setting: Setting, crash: Crash, op_id: str, calls: int) -> bool:
        seen = setting.adapter.observe(setting.ref)
        receipt = setting.adapter.block(setting.ref, seen, op_id)
        crashed = died(crash, calls, lambda: setting.adapter.unblock(setting.ref, receipt))
        later = setting.restarted()
        done = later.adapter.unblock(setting.ref, receipt)
        assert setting.restarted().adapter.unblock(setting.ref, receipt) == done
        assert setting.environment.public_get(setting.ref) == (200, BODY)
        now = later.adapter.observe(setting.ref)
        assert [(v.size_bytes, v.current) for v in now.versions] == [(v.size_bytes, v.current) for v in seen.versions]
        assert bodies(later, now) == [BODY, OLD_BODY][: len(seen.versions)]
        return not crashed

    assert each_crash(begin, run, step) > 5


def test_remove_finishes_after_any_crash(begin: Begin, step: int) -> None:
    def run(setting: Setting, crash: Crash, op_id: str, calls: int) -> bool:
        receipt = setting.block(op_id)
        proof = proof_for(receipt, len(BODY))
        crashed = died(crash, calls, lambda: setting.adapter.remove(setting.ref, proof, receipt, f"{op_id}-r"))
        later = setting.restarted()
        done = later.adapter.remove(setting.ref, proof, receipt, f"{op_id}-r")
        assert setting.restarted().adapter.remove(setting.ref, proof, receipt, f"{op_id}-r") == done
        assert done.outcome == "removed"
        assert later.adapter.observe(setting.ref).presence is Presence.ABSENT
        with pytest.raises(AdapterError):
            read_all(later.adapter, setting.ref, receipt)
        return not crashed

    assert each_crash(begin, run, step) > 5


def test_late_worker_blocks_nothing_again(s3_site: Site) -> None:
    """One sleeps before it writes the first record; meanwhile another blocks, and the block is taken back."""
    environment = S3Environment(s3_site, s3_site.settings("site-versions", ladder=("policy",), settle_seconds=0.0))
    ref = environment.put(b"field.jpg", BODY)
    late, prompt = environment.make(), environment.make()
    seen = late.observe(ref)
    done: list[BlockReceipt] = []

    def before(operation: str, params: dict[str, Any]) -> None:
        if operation == "put_object" and str(params["Key"]).endswith("record.json") and not done:
            environment.on_call = lambda operation, params: None
            done.append(prompt.block(ref, seen, "op-1"))
            prompt.unblock(ref, done[0])

    environment.on_call = before
    assert late.block(ref, seen, "op-1") == done[0]
    assert environment.public_get(ref) == (200, BODY)
    environment.close()
