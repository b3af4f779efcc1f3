"""Looks at the folders of a scenario and says everything that is not as it was promised."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapters.filesystem import syscalls
from receiver.domain.errors import ReceiverError
from receiver.domain.rows import SealRow
from receiver.ledger.verify import verify_ledger
from receiver.store import SqlStore, open_store
from receiver.store.errors import SchemaError, UnsafePlaceError
from receiver.vault import age
from receiver.vault.vault import DirectoryVault
from tests.faults.scenario_host import HOST, LONG_AGO_NS, NEIGHBOURS, PICTURE, SECOND_NAME, Places, SteeredClock, noise
from tests.faults.scenario_parts import Keys, copies_of, make_vault

NEW_PICTURE = "new picture"
DOWN = ("disabled", "removed")
_INCLUDE = re.compile(rb'^include "([^"]+)";$', re.MULTILINE)
_TORN = re.compile(r"copy copy holds \d+ letters|checkpoint \d+ of copy copy: the checkpoint is not signed")


def after_the_crash(places: Places, keys: Keys) -> list[str]:
    """Before anything is mended: what was said must hold, and the bytes must be somewhere."""
    problems = [*_neighbours(places), *_still_down(places)]
    store = _open(places, keys)
    if store is None:
        return [*problems, *_bytes_lost(places, []), *(f"lost ACK {name}" for name in _acks(places))]
    sealed = [_unsealed(places, keys, seal.payload_ref) for seal in _seals(store)]
    if not set(sealed) <= {noise(PICTURE), noise(NEW_PICTURE)}:
        problems.append("bad evidence: the database names a seal that does not hold the bytes")
    problems += [f"bad evidence: {words}" for words in _seals_at_fault(places, keys, store)]
    problems += [f"lost ACK {name}" for name in _acks(places) if not _has(store, name)]
    problems += _bytes_lost(places, sealed)
    known = {event.id for notice in _notices(store) for event in store.events_of(notice)}
    problems += [f"lost event {line[2]}" for line in places.said() if line[0] == "TOLD" and line[1] not in known]
    store.close()
    if any(copy.read().unreadable for copy in copies_of(places)):
        (places.peer / "torn").touch()
    return problems


def at_rest(places: Places, keys: Keys, script: str) -> list[str]:
    """After everything was finished."""
    store = _open(places, keys)
    if store is None:
        return ["no database at rest"]
    problems = [
        *_neighbours(places),
        *_still_down(places),
        *_letters(places, store),
        *_customer(places, script),
        *_sealed_well(places, keys, store),
        *_ledger(places, keys, store),
        *_quiet(store),
    ]
    store.close()
    return problems


def _open(places: Places, keys: Keys) -> SqlStore | None:
    """None where no tables are there yet, as before the first start was over."""
    try:
        url = f"sqlite:///{places.database}"
        return open_store(url, data_key=keys.data, data_dir=places.disk / "data")
    except (SchemaError, UnsafePlaceError):
        return None


def _vault(places: Places, keys: Keys) -> DirectoryVault:
    return make_vault(places, keys, SteeredClock(dt.datetime.now(dt.UTC)))


# --- what was said


def _acks(places: Places) -> list[str]:
    return [line[1] for line in places.said() if line[0] == "ACK"]


def _has(store: SqlStore, name: str) -> bool:
    row = store.find_notice("hotline", "N-1")
    if row is None:
        return False
    return name == "N-1" or store.find_direction(row.id, name) is not None


def _notices(store: SqlStore) -> list[str]:
    row = store.find_notice("hotline", "N-1")
    return [] if row is None else [row.id]


def _letters(places: Places, store: SqlStore) -> Iterator[str]:
    told: dict[str, dict[str, Any]] = {}
    ids: dict[tuple[str, int], str] = {}
    last: Counter[str] = Counter()
    for letter in places.letters():
        event = letter["event"]
        place = event["subject"], event["data"]["sequence"]
        if told.setdefault(event["id"], event) != event:
            yield "one event told with two contents"
        if ids.setdefault(place, event["id"]) != event["id"]:
            yield "one event told under two ids"
        if event["data"]["sequence"] > last[event["subject"]] + 1 and last[event["subject"]]:
            yield "told out of order"
        last[event["subject"]] = max(last[event["subject"]], event["data"]["sequence"])
        if event["type"].rpartition(".")[2] in DOWN and letter["served"]:
            yield "told as down while it was served"
    kept = {event.id: event for notice in _notices(store) for event in store.events_of(notice)}
    due = {event.id for event in kept.values() if event.status != "received"}
    if due != told.keys():
        yield f"{len(due - told.keys())} events were never told, {len(told.keys() - due)} are not known"
    if any(kept[name].status.value != told[name]["type"].rpartition(".")[2] for name in due & told.keys()):
        yield "an event was told as another"


def _still_down(places: Places) -> Iterator[str]:
    """What was last told to be down is down, unless the issuer has sent for it to come back."""
    if any(line == ["SENT", "D-1"] for line in places.said()) and not _proceeding(places):
        return
    told = [line[2] for line in places.said() if line[0] == "TOLD"]
    if told and told[-1] in DOWN and noise(PICTURE) in _contents(places.docroot):
        yield "told as down, and it is served"


def _proceeding(places: Places) -> bool:
    return "proceed" in (places.peer / "D-1").read_text()


# --- the bytes


def _contents(folder: Path) -> list[bytes]:
    if not folder.is_dir():
        return []
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


def _neighbours(places: Places) -> Iterator[str]:
    for name in NEIGHBOURS:
        path = places.docroot / name
        if not path.is_file() or path.read_bytes() != noise(name):
            yield "a neighbour's file was touched"


def _bytes_lost(places: Places, sealed: list[bytes]) -> Iterator[str]:
    held = [*_contents(places.docroot), *_contents(places.quarantine), *sealed]
    if noise(PICTURE) not in held:
        yield "the bytes are lost"
    if any(line[0] == "UPLOADED" for line in places.said()) and noise(NEW_PICTURE) not in held:
        yield "the bytes uploaded again are lost"


def _customer(places: Places, script: str) -> Iterator[str]:
    names = [places.docroot / name for name in (PICTURE, SECOND_NAME)]
    denied = f"{HOST} /{PICTURE.removeprefix('acme/')}".encode() in _included(places.map_file)
    if script != "withdraw":
        if any(name.exists() for name in names):
            yield "it is there again"
        if not denied:
            yield "the gate lets it through"
        return
    if denied:
        yield "the gate still refuses it"
    for name in names:
        if not name.exists() or name.read_bytes() != noise(PICTURE):
            yield "it did not come back"
            continue
        found = name.stat()
        if (found.st_mode & 0o777, found.st_mtime_ns, found.st_nlink) != (0o644, LONG_AGO_NS, 2):
            yield "it came back as another"
        file = os.open(name, os.O_RDONLY)
        if (syscalls.get_flags(file) or 0) & syscalls.IMMUTABLE:
            yield "it came back immutable"
        os.close(file)


def _included(map_file: Path) -> bytes:
    """What nginx reads there: the map file, and behind it the files that it names and that these name."""
    folder, found, texts = map_file.with_name(f"{map_file.name}.d"), [map_file], []
    for path in found:
        texts.append(path.read_bytes())
        found += [folder / Path(os.fsdecode(one)).name for one in _INCLUDE.findall(texts[-1])]
    return b"\n".join(texts)


# --- the evidence


def _seals(store: SqlStore) -> list[SealRow]:
    lines = store.list_cases(state=None, issuer=None, after=None, limit=100)
    return [seal for line in lines for seal in store.load_case(line.case.id).seals]


def _unsealed(places: Places, keys: Keys, payload_ref: str) -> bytes:
    """What a custodian gets out of a seal; nothing where it does not open."""
    vault, body = _vault(places, keys), bytearray()
    identity = age.parse_identity(keys.custodians[1][0])
    try:
        header = vault.read_header(payload_ref.removesuffix(".age") + ".header")
        with vault.open_payload(payload_ref) as payload:
            age.open_file(header, payload, identity, body.extend)
    except (ReceiverError, OSError):
        return b""
    return bytes(body)


def _sealed_well(places: Places, keys: Keys, store: SqlStore) -> Iterator[str]:
    seals = _seals(store)
    if not seals:
        yield "nothing was sealed"
    for count in Counter(seal.pin for seal in seals).values():
        if count > 1:
            yield f"sealed {count} times for one pin"
    for seal in seals:
        if _unsealed(places, keys, seal.payload_ref) not in (noise(PICTURE), noise(NEW_PICTURE)):
            yield "bad evidence at rest"
    yield from _seals_at_fault(places, keys, store)


def _seals_at_fault(places: Places, keys: Keys, store: SqlStore) -> Iterator[str]:
    """Of every seal that the database names, in every store of the vault."""
    vault = _vault(places, keys)
    for seal in _seals(store):
        manifest = _unsealed(places, keys, seal.manifest_ref or "")
        if not manifest.startswith(b"{") or seal.id.encode() not in manifest:
            yield "a manifest does not open"
        headers = (seal.header_ref, (seal.manifest_ref or "").removesuffix(".age") + ".header")
        if not vault.check_seal(seal.payload_ref, seal.sha256_sealed) or not all(map(vault.check_header, headers)):
            yield "vault verify: a seal does not read back"


# --- ledger and work


def _ledger(places: Places, keys: Keys, store: SqlStore) -> Iterator[str]:
    torn = (places.peer / "torn").exists()
    for problem in verify_ledger(store, keys.ledger.vkey, copies_of(places)).problems:
        # Half a note in a file that only grows stays there, and is named for what it is.
        if not (torn and _TORN.match(problem)):
            yield f"ledger verify: {problem}"
    if store.count_unsequenced():
        yield "entries wait for their number"


def _quiet(store: SqlStore) -> Iterator[str]:
    for line in store.list_cases(state=None, issuer=None, after=None, limit=100):
        view = store.load_case(line.case.id)
        if "stuck" in (view.exposure.state, view.evidence.state):
            yield "a track is stuck"
        if any(act.ended_at is None for act in view.acts):
            yield "an act was never finished"
