"""The bases keep their promises whatever a plug-in does."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from operator import methodcaller
from typing import Any

import pytest

from adapters.contract import (
    ERRORS,
    AdapterError,
    BlockReceipt,
    CacheAdapter,
    CacheHints,
    CacheKey,
    Capabilities,
    Denied,
    DenyTarget,
    GateAdapter,
    GateReceipt,
    Observation,
    OtherName,
    Partial,
    Pin,
    Presence,
    PurgeStatus,
    PurgeTicket,
    Reader,
    Ref,
    Retryable,
    SealProof,
    StorageAdapter,
    Unsupported,
    Version,
    from_json,
    to_json,
)

REF = Ref(locator=b"acme/secret.jpg", scope=b"acme")
SEEN = Observation(ref=REF, presence=Presence.PRESENT)
RECEIPT = BlockReceipt(op_id="op-1", ref=REF, pins=(Pin("1"),))
PROOF = SealProof(seal_id="s", pins=(Pin("1"),), sha256_sealed="0", size_bytes=1, checked_at=1)
TARGET = DenyTarget(url="https://a.example/secret.jpg", host="a.example", path=b"/secret.jpg")


class FailingReader(Reader):
    def __init__(self, exc: BaseException) -> None:
        self.exc = exc

    def _read(self, size: int) -> bytes:
        raise self.exc

    def _close(self) -> None:
        raise self.exc


def failing(base: type) -> Callable[[object], Any]:
    """A plug-in that raises, or returns, whatever it was made with, from every method."""

    def fail(self: Any, *args: object) -> Any:
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    def make(self: Any, outcome: object) -> None:
        self.outcome = outcome

    names = [name for name in vars(base) if name.startswith("_") and not name.startswith("__") and name != "_abc_impl"]
    return type("Failing", (base,), {"__init__": make, **dict.fromkeys(names, fail)})


CALLS: dict[str, tuple[type, Callable[[Any], object]]] = {
    **{
        f"storage {name}": (StorageAdapter, methodcaller(name, *args))
        for name, args in {
            "probe": (),
            "observe": (REF,),
            "block": (REF, SEEN, "op-1"),
            "freeze": (REF, RECEIPT),
            "open": (REF, Pin("1")),
            "origin_state": (REF, RECEIPT),
            "remove": (REF, PROOF, RECEIPT, "op-1"),
            "unblock": (REF, RECEIPT),
            "derivatives": (REF,),
            "context": ("acme", REF, 3600),
        }.items()
    },
    **{
        f"gate {name}": (GateAdapter, methodcaller(name, *args))
        for name, args in {
            "probe": (),
            "deny": ([TARGET], "op-1"),
            "allow": (GateReceipt(op_id="op-1"),),
            "state": (GateReceipt(op_id="op-1"),),
        }.items()
    },
    **{
        f"cache {name}": (CacheAdapter, methodcaller(name, *args))
        for name, args in {
            "probe": (),
            "variants": ("https://a.example/", CacheHints()),
            "purge": ([CacheKey("k")], "op-1"),
            "status": (PurgeTicket(op_id="op-1", status=PurgeStatus.PENDING),),
        }.items()
    },
}


@pytest.mark.parametrize(("base", "call"), CALLS.values(), ids=list(CALLS))
def test_foreign_exceptions_never_escape(base: type, call: Callable[[Any], object]) -> None:
    for foreign in (KeyError("secret.jpg"), ZeroDivisionError(), AssertionError("secret.jpg"), RecursionError()):
        with pytest.raises(AdapterError) as caught:
            call(failing(base)(foreign))
        assert caught.value.kind == "broken"
        assert type(foreign).__name__ in str(caught.value)
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is foreign


@pytest.mark.parametrize(("base", "call"), CALLS.values(), ids=list(CALLS))
def test_system_errors_are_retryable(base: type, call: Callable[[Any], object]) -> None:
    foreigners = (
        OSError(errno.EIO, "secret.jpg", "/secret.jpg"),
        TimeoutError("secret"),
        ConnectionResetError("secret"),
    )
    for foreign in foreigners:
        with pytest.raises(Retryable) as caught:
            call(failing(base)(foreign))
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("kind", list(ERRORS.values()))
def test_family_passes_unchanged(kind: type[AdapterError]) -> None:
    special: dict[type[AdapterError], AdapterError] = {
        Unsupported: Unsupported("freeze"),
        Partial: Partial("half", done=["a"], left=["b"]),
    }
    ours = special.get(kind) or kind("words")
    with pytest.raises(kind) as caught:
        failing(StorageAdapter)(ours).observe(REF)
    assert caught.value is ours


def test_stopping_the_process_is_no_fault() -> None:
    with pytest.raises(KeyboardInterrupt):
        failing(StorageAdapter)(KeyboardInterrupt()).observe(REF)


def test_reader_keeps_to_family() -> None:
    reader = FailingReader(ValueError("secret"))
    with pytest.raises(AdapterError):
        reader.read(10)
    with pytest.raises(AdapterError):
        reader.close()


@pytest.mark.parametrize("size", [0, -1, 16 * 1024 * 1024 + 1])
def test_reader_bounds_its_size(size: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        FailingReader(ValueError()).read(size)


@pytest.mark.parametrize("op_id", ["", "a" * 65, "a/b", "é", "a b"])
def test_odd_op_ids_are_refused(op_id: str) -> None:
    with pytest.raises(ValueError, match="op_id"):
        failing(StorageAdapter)(RECEIPT).block(REF, SEEN, op_id)
    with pytest.raises(ValueError, match="op_id"):
        failing(GateAdapter)(None).deny([TARGET], op_id)
    with pytest.raises(ValueError, match="op_id"):
        failing(CacheAdapter)(None).purge([], op_id)


def test_limits_hold_for_every_plugin() -> None:
    many = 10_001
    versions = Observation(ref=REF, presence=Presence.PRESENT, versions=(Version(pin=Pin("1"), size_bytes=1),) * many)
    names = Observation(
        ref=REF, presence=Presence.PRESENT, other_names=(OtherName(locator=b"x", in_scope=True),) * many
    )
    for outcome in (versions, names):
        with pytest.raises(Denied, match="10000"):
            failing(StorageAdapter)(outcome).observe(REF)
    with pytest.raises(Denied):
        failing(StorageAdapter)((REF,) * many).derivatives(REF)
    with pytest.raises(Denied):
        failing(GateAdapter)(None).deny([TARGET] * many, "op-1")
    with pytest.raises(Denied):
        failing(CacheAdapter)((CacheKey("k"),) * many).variants("https://a.example/", CacheHints())
    with pytest.raises(Denied):
        failing(CacheAdapter)(None).purge([CacheKey("k")] * many, "op-1")


def test_remove_without_proof_never_reaches_plugin() -> None:
    reached = failing(StorageAdapter)(AssertionError("reached"))
    for pins in ((), (Pin("2"),), (Pin("1"), Pin("2")), (Pin("1", weak=True),)):
        proof = SealProof(seal_id="s", pins=pins, sha256_sealed="0", size_bytes=1, checked_at=1)
        with pytest.raises(Denied):
            reached.remove(REF, proof, RECEIPT, "op-1")


def test_names_stay_out_of_repr() -> None:
    values = (REF, TARGET, CacheKey("https://a.example/secret.jpg"), OtherName(locator=b"secret.jpg", in_scope=True),
              CacheHints(raw_urls=("https://a.example/secret.jpg",)), RECEIPT, SEEN)  # fmt: skip
    assert not any("secret" in repr(value) for value in values)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Ref, {"locator": "text"}),
        (Ref, {"locator": {"b64": "AA=="}, "more": 1}),
        (Ref, []),
        (Pin, {"value": 1}),
        (BlockReceipt, {"op_id": "1", "ref": to_json(REF), "pins": {}}),
        (tuple[int, int], [1]),
        (tuple[int, int], [1, True]),
        (Observation, {"ref": to_json(REF), "presence": "elsewhere"}),
        (PurgeTicket, {"op_id": "1", "status": "done", "residual": "text"}),
    ],
)
def test_foreign_json_is_refused(kind: type, data: Any) -> None:
    with pytest.raises(ValueError):
        from_json(kind, data)


def test_negative_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="offset"):
        failing(StorageAdapter)(FailingReader(ValueError())).open(REF, Pin("1"), -1)


@pytest.mark.parametrize("path", [b"", b"a.jpg", b"/a\0.jpg"])
def test_gates_are_given_whole_paths_only(path: bytes) -> None:
    """An empty or broken path would make a rule that refuses a whole site, or nothing."""
    reached = failing(GateAdapter)(AssertionError("reached"))
    with pytest.raises(Denied, match="path"):
        reached.deny([DenyTarget(url="https://a.example/", host="a.example", path=path)], "op-1")


def test_few_derivatives_and_keys_pass() -> None:
    assert failing(StorageAdapter)((REF,)).derivatives(REF) == (REF,)
    assert failing(CacheAdapter)((CacheKey("k"),)).variants("https://a.example/", CacheHints()) == (CacheKey("k"),)


def test_finished_purge_stays_finished() -> None:
    """A cache that is done at once need not say how it goes on."""

    class Quick(CacheAdapter):
        def _probe(self) -> Capabilities:
            return Capabilities(name="quick")

        def _variants(self, url: str, hints: CacheHints) -> tuple[CacheKey, ...]:
            return (CacheKey(url),)

        def _purge(self, keys: Sequence[CacheKey], op_id: str) -> PurgeTicket:
            return PurgeTicket(op_id=op_id, status=PurgeStatus.DONE)

    cache = Quick()
    ticket = cache.purge(cache.variants("https://a.example/", CacheHints()), "op-1")
    assert cache.status(ticket) is PurgeStatus.DONE


def test_values_without_json_form_are_refused() -> None:
    for value in (object(), {"x": {1}}, 1j):
        with pytest.raises(TypeError, match="JSON"):
            to_json(value)
