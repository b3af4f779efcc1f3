"""The ladder's first two rungs: a deny statement for one key, and a tag that a standing statement denies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace

from adapters.contract import NotFound, Unsupported
from adapters.s3.attributes import put_tags, tags_of
from adapters.s3.erasing import Eraser
from adapters.s3.listing import key_of, list_key
from adapters.s3.policy import TAG_KEY, TAG_VALUE, WILD, Policy, Statement, deny_key, deny_tagged, exemptions, sid
from adapters.s3.record import Record, Taken
from adapters.s3.wire import Wire

MAX_TAGS = 10
Exempt = Callable[[], Statement]
"""The condition under which the host still gets in, as the probe found it."""


class Rung(ABC):
    """One way to block. Each act may be repeated after a crash at any of its calls."""

    name: str = ""
    doors: tuple[str, ...] = ()

    @abstractmethod
    def fits(self, record: Record) -> bool:
        """Whether this way can be gone for this object at all."""

    @abstractmethod
    def close(self, record: Record) -> Record:
        """Put it in force."""

    @abstractmethod
    def holding(self, record: Record) -> tuple[Taken, ...]:
        """What of this record's versions it still holds back, where they stand."""

    @abstractmethod
    def reopen(self, record: Record) -> Record:
        """Take it back, exactly."""

    @abstractmethod
    def residual(self, record: Record) -> tuple[str, ...]:
        """What it cannot close or promise, in words for the issuer."""


class PolicyRung(Rung):
    """A deny statement of ours for this one key."""

    name = "policy"
    doors = ("the name, every version and every signed link: denied by the bucket's policy", "uploads to the name")

    def __init__(self, wire: Wire, policy: Policy, exempt: Exempt) -> None:
        self._wire, self._policy, self._exempt = wire, policy, exempt

    def fits(self, record: Record) -> bool:
        return not WILD & set(key_of(record.ref))

    def close(self, record: Record) -> Record:
        self._policy.add(self._statement(record))
        return record

    def holding(self, record: Record) -> tuple[Taken, ...]:
        # Under whichever exemption it was put in force: another probe may have chosen another one since.
        settings = self._wire.settings
        statements = (deny_key(record.op_id, settings.bucket, key_of(record.ref), e) for e in exemptions(settings))
        return record.taken if any(self._policy.holds(statement) for statement in statements) else ()

    def _statement(self, record: Record) -> Statement:
        return deny_key(record.op_id, self._wire.settings.bucket, key_of(record.ref), self._exempt())

    def reopen(self, record: Record) -> Record:
        self._policy.drop(sid(record.op_id))
        return record

    def residual(self, record: Record) -> tuple[str, ...]:
        del record
        return ("Whoever may change the bucket's policy can take the block out; looks from outside would notice.",)


class TagRung(Rung):
    """Our tag on every version; a standing statement denies what carries it."""

    name = "tag"
    doors = ("the name, every version and every signed link: denied by tag", "unfinished uploads: aborted")

    def __init__(self, wire: Wire, policy: Policy, exempt: Exempt) -> None:
        self._wire, self._policy, self._exempt = wire, policy, exempt
        self._bucket = wire.settings.bucket

    def fits(self, record: Record) -> bool:
        # SeaweedFS lets no wildcard stand for a line break, so the standing statement would miss such a key.
        broken = set("\r\n") & set(key_of(record.ref))
        return not broken and all(len(_tags(taken)) < MAX_TAGS for taken in record.taken)

    def close(self, record: Record) -> Record:
        standing = deny_tagged(self._bucket, self._exempt())
        if not self._policy.holds(standing):
            self._policy.add(standing)
        key, aborted = key_of(record.ref), Eraser(self._wire).abort_uploads(key_of(record.ref))
        for taken in record.taken:
            put_tags(self._wire, self._bucket, key, taken.stored.version_id, [*_tags(taken), _ours()])
        return replace(record, uploads_aborted=record.uploads_aborted + aborted)

    def holding(self, record: Record) -> tuple[Taken, ...]:
        if not any(self._policy.holds(deny_tagged(self._bucket, e)) for e in exemptions(self._wire.settings)):
            return ()
        key = key_of(record.ref)
        there = {stored.pin for stored in list_key(self._wire, self._bucket, key).versions}
        return tuple(t for t in record.taken if t.stored.pin in there and self._tagged(key, t))

    def reopen(self, record: Record) -> Record:
        key = key_of(record.ref)
        for taken in record.taken:
            try:
                if self._tagged(key, taken):
                    put_tags(self._wire, self._bucket, key, taken.stored.version_id, _tags(taken))
            except NotFound:
                continue  # the customer deleted it; that is said where the losses are
        return record

    def residual(self, record: Record) -> tuple[str, ...]:
        del record
        return (
            "Whoever may change the bucket's policy or this object's tags can take the block out.",
            "A new upload to the name is not denied; it is reported as replaced.",
        )

    def _tagged(self, key: str, taken: Taken) -> bool:
        try:
            return _ours() in tags_of(self._wire, self._bucket, key, taken.stored.version_id)
        except Unsupported:
            return False


def _ours() -> dict[str, str]:
    return {"Key": TAG_KEY, "Value": TAG_VALUE}


def _tags(taken: Taken) -> list[dict[str, str]]:
    """The customer's own."""
    return [dict(tag) for tag in taken.stored.attributes.get("TagSet", ()) if tag["Key"] != TAG_KEY]
