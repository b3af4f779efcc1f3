"""Up the ladder: put a rung in force, ask at every door, and go to the next where one is still open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from adapters.contract import Denied, Unsupported
from adapters.s3.doors import Doors
from adapters.s3.listing import Stored, list_key
from adapters.s3.record import Record, Records
from adapters.s3.rungs import Rung
from adapters.s3.wire import Refused, Wire

MAX_COPIES_ASKED = 20


class Climber:
    def __init__(self, wire: Wire, records: Records, doors: Doors, rungs: Mapping[str, Rung]) -> None:
        self._wire, self._records, self._doors, self._rungs = wire, records, doors, rungs
        self._bucket = wire.settings.bucket

    def climb(self, record: Record, ladder: Sequence[str]) -> Record:
        """The record with the rung that holds. The last one stays in force even where it leaves a door open."""
        fitting = [name for name in ladder if self._rungs[name].fits(record)]
        untried = [name for name in fitting if name not in record.failed] or fitting[-1:]
        if not untried:
            raise Unsupported("block")
        for name in untried:
            record = self._records.save(replace(record, rung=name))
            record, good = self._try(record, self._rungs[name], last=name == untried[-1])
            if good:
                return record
            record = self._records.save(replace(self._rungs[name].reopen(record), failed=(*record.failed, name)))
        return record

    def _try(self, record: Record, rung: Rung, *, last: bool) -> tuple[Record, bool]:
        try:
            record = rung.close(record)
        except (Denied, Unsupported, Refused):
            if last:
                raise
            return record, False
        if last:
            return record, True
        key = record.ref.locator.decode()
        versions = [taken.stored for taken in record.taken]
        return record, not self._doors.closed(key, versions) and self._doors.host_reads(key, versions)

    def open_doors(self, record: Record, key: str) -> tuple[str, ...]:
        """Where the blocked bytes still come out, by whatever rung they are held."""
        if record.rung != "move":
            return self._doors.open_doors(key, self._standing(record, key))
        found = dict.fromkeys(self._doors.open_doors(key, [taken.stored for taken in record.taken]))
        for number in range(min(len(record.taken), MAX_COPIES_ASKED)):
            found |= dict.fromkeys(self._doors.held_doors(self._records.copy_key(record.op_id, number)))
        return tuple(found)

    def still_held(self, record: Record, key: str) -> bool:
        """Whether the blocked bytes are there at all."""
        if record.rung == "move":
            return self._doors.held(self._records.copy_key(record.op_id, 0))
        return bool(self._standing(record, key))

    def _standing(self, record: Record, key: str) -> list[Stored]:
        there = {stored.pin for stored in list_key(self._wire, self._bucket, key).versions}
        return [taken.stored for taken in record.taken if taken.stored.pin in there]

    def residual(self, record: Record) -> tuple[str, ...]:
        words = [*self._rungs[record.rung].residual(record)]
        if record.uploads_aborted:
            words.append(f"{record.uploads_aborted} unfinished upload(s) to the name were aborted for good")
        if "customer" not in self._wire.askers:
            words.append("No customer account is set, so doors were tried as a stranger only.")
        return tuple(words)
