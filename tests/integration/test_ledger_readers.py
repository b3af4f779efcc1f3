"""The ledger of real databases read by several processes, as `ledger verify` does it with a long one."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from receiver.cli import ledger as commands
from receiver.cli import main
from receiver.config import load_config
from receiver.domain.entry import LedgerNote
from receiver.domain.outcome import Outcome
from receiver.keyfiles import init_folder
from receiver.ledger.checkpoint import load_ledger_key
from receiver.ledger.errors import LedgerReaderError
from receiver.ledger.leaves import SEGMENT_ENTRIES
from receiver.ledger.readers import Command, read_apart
from receiver.ledger.sequencer import Sequencer
from receiver.ledger.verify import verify_ledger
from receiver.store import SqlStore
from receiver.wiring import build_ledger, build_store
from receiver.wiring.parts import build_copies, ledger_name
from tests.doubles.databases import Database
from tests.integration.test_ledger_store import Ledger, behind_the_back

ENTRIES = SEGMENT_ENTRIES + 40
READER = """
import sys
from pathlib import Path
from receiver.ledger.readers import write_leaves
from receiver.store import open_store

url, folder, key, k, n, size = sys.argv[1:]
store = open_store(url, data_key=bytes.fromhex(key), data_dir=Path(folder))
write_leaves(store, sys.stdout.buffer, k=int(k), n=int(n), size=int(size))
store.close()
"""


def reader_of(database: Database) -> Command:
    def command(k: int, n: int, size: int) -> Sequence[str]:
        place = [database.url, str(database.data_dir), database.data_key.hex()]
        return [sys.executable, "-c", READER, *place, str(k), str(n), str(size)]

    return command


def fill(store: SqlStore, sequencer: Sequencer) -> None:
    notes = [LedgerNote(kind="resource.blocked", subject=f"case-{n}", actor="w:1") for n in range(ENTRIES)]
    results = store.commit([Outcome(notes=tuple(notes))])
    assert [result.error for result in results] == [None]
    while sequencer.run_once():
        pass


def test_stored_ledger_is_read_apart(store: SqlStore, database: Database, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    ledger = Ledger(store, tmp_path / "outside")
    fill(store, ledger.sequencer)
    ledger.sequencer.checkpoint()
    apart = read_apart(reader_of(database), 2)
    report = verify_ledger(store, ledger.signer.vkey, ledger.copies, read=apart)
    assert (report.problems, report.details_checked) == ((), ENTRIES)
    behind_the_back(database, f"UPDATE entry SET kind = 'other' WHERE seq IN (5, {SEGMENT_ENTRIES + 5})")
    behind_the_back(database, f"DELETE FROM entry WHERE seq = {SEGMENT_ENTRIES}")
    report = verify_ledger(store, ledger.signer.vkey, ledger.copies, read=apart)
    assert report == ledger.verify()
    assert [problem.split(":")[0] for problem in report.problems[:3]] == [
        "entry 5",
        f"entry {SEGMENT_ENTRIES} is missing or cannot be read",
        f"entry {SEGMENT_ENTRIES + 5}",
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Settings as `init` makes them, a database, and a ledger of two segments."""
    made = tmp_path / "receiver"
    init_folder(made, origin="https://notices.host.example")
    config = load_config(made / "config.toml", {})
    store = build_store(config, create=True)
    fill(store, build_ledger(config, store))
    build_ledger(config, store).checkpoint()
    store.close()
    return made


def test_command_starts_readers_of_its_settings(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "json.py").write_text("raise SystemExit('a file of the folder where it was typed')\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setattr(commands, "readers_for", lambda _size, _cores: 2)
    typed = ["--config", str(folder / "config.toml"), "ledger", "verify", "--json"]
    result = CliRunner().invoke(main, typed)
    told = json.loads(result.stdout)
    assert (result.exit_code, told["ok"], told["size"], told["details_checked"]) == (0, True, ENTRIES, ENTRIES)


def test_lost_reader_ends_the_command_with_four(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "readers_for", lambda _size, _cores: 2)
    monkeypatch.setattr(commands, "reader_command", lambda _file: lambda _k, _n, _size: ["false"])
    result = CliRunner().invoke(main, ["--config", str(folder / "config.toml"), "ledger", "verify"])
    assert result.exit_code == 4
    assert "there is no verdict" in result.output


def test_reader_without_its_database_is_no_verdict(folder: Path) -> None:
    config = load_config(folder / "config.toml", {})
    vkey = load_ledger_key(str(config.keys.ledger_key_file), ledger_name(config)).vkey
    store = build_store(config)
    try:
        apart = read_apart(commands.reader_command(folder / "gone.toml"), 2)
        with pytest.raises(LedgerReaderError, match="ended with 3"):
            verify_ledger(store, vkey, build_copies(config), read=apart)
    finally:
        store.close()
