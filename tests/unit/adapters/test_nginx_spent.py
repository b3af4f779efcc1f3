"""What the nginx gate remembers of operations that were taken back. No nginx is needed for that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapters.contract import Denied, DenyTarget, GateReceipt, GateStatus, Retryable
from adapters.nginx import book
from adapters.nginx.gate import NginxGate

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
    monkeypatch.setattr(book, "MAX_SPENT", 3)
    kept = book.Book(str(tmp_path / "book.json"))
    for number in (1, 2, 3, 1, 4):
        with kept.changing() as state:
            state.spend(f"op-{number}")
    assert kept.load().spent == ["op-3", "op-1", "op-4"]


def test_book_of_an_older_version_is_read(tmp_path: Path) -> None:
    gate(tmp_path).deny([TARGET], "op-1")
    path = tmp_path / "deny.conf.json"
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != "spent"}))
    gate(tmp_path).allow(RECEIPT)
    assert gate(tmp_path).state(RECEIPT) is GateStatus.OPEN
