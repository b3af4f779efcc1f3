"""What the nginx gate remembers of operations that were taken back. No nginx is needed for that."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.contract import Denied, DenyTarget, GateReceipt, GateStatus, Retryable
from adapters.nginx import operations
from adapters.nginx.gate import NginxGate
from tests.doubles.numbers import set_numbers

TARGET = DenyTarget(url="https://img.example/a.jpg", host="img.example", path=b"/a.jpg")
RECEIPT = GateReceipt(op_id="op-1")


def gate(folder: Path, test_command: str = "/bin/true") -> NginxGate:
    return NginxGate("web", str(folder / "deny.conf"), ("/bin/true",), (test_command,))


def test_refused_allow_spends_nothing(tmp_path: Path) -> None:
    """It is asked for again, and until then the same deny may be repeated after a crash."""
    gate(tmp_path).deny([TARGET], "op-1")
    with pytest.raises(Retryable):
        gate(tmp_path, "/bin/false").allow(RECEIPT)
    gate(tmp_path).deny([TARGET], "op-1")
    assert gate(tmp_path).state(RECEIPT) is GateStatus.DENYING
    gate(tmp_path).allow(RECEIPT)
    with pytest.raises(Denied):
        gate(tmp_path).deny([TARGET], "op-1")


def test_allow_before_deny_spends_it(tmp_path: Path) -> None:
    """Its sender was frozen on the way, and whoever took over had nothing but the intent."""
    gate(tmp_path).allow(RECEIPT)
    with pytest.raises(Denied):
        gate(tmp_path).deny([TARGET], "op-1")


def test_spent_operations_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_numbers(monkeypatch, operations, MAX_SPENT=3)
    asked = gate(tmp_path)
    for number in (1, 2, 3, 1, 4):
        asked.allow(GateReceipt(op_id=f"op-{number}"))
    with asked._denials.reading() as view:
        assert [view.is_spent(f"op-{number}") for number in (1, 2, 3, 4)] == [True, False, True, True]
