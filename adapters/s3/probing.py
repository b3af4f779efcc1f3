"""What this server really does, tried on a scratch key: documented features are not believed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from adapters.contract import AdapterError, Capabilities, Changed, Denied, NotFound, Unsupported
from adapters.s3.attributes import tags_of
from adapters.s3.doors import Doors
from adapters.s3.erasing import Eraser
from adapters.s3.listing import Stored, list_key, versioned
from adapters.s3.policy import TAG_KEY, TAG_VALUE, Policy, Statement, deny_key, deny_tagged, exemptions, sid
from adapters.s3.record import delete_all
from adapters.s3.wire import Refused, Wire

_WRONG = '"00000000000000000000000000000000"'
_NO = (Denied, NotFound, Unsupported, Refused, Changed)
CONTENT_TYPE = "text/x-takedown-receiver-probe"
BODY = b"takedown-receiver scratch object; safe to delete\n"


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What the probe found."""

    rungs: tuple[str, ...] = ()
    exempt: Statement = field(default_factory=dict)
    holds: bool = False
    """A legal hold keeps the host itself from deleting, and the customer cannot lift it."""
    quarantine_closed: bool = False
    quarantine_unchecked: bool = False
    ignored: tuple[str, ...] = ()
    """Conditions this server takes no notice of."""
    versioning: str = ""
    server: str = ""
    failed: tuple[str, ...] = ()
    """Words about rungs that did not hold."""


class Prober:
    def __init__(self, wire: Wire, policy: Policy, doors: Doors) -> None:
        self._wire, self._policy, self._doors = wire, policy, doors
        self._settings = wire.settings

    def prove(self) -> Proof:
        with self._scratch() as (key, stored, server):
            readers = self._doors.open_doors(key, [stored])
            closed = not self._doors.held_doors(self._held(key))
            exempt, policy_words = self._exempt(key, stored, readers)
            tag_words = "no exemption of the host works" if exempt is None else self._tag(key, stored, exempt)
            move_words = self._move(key) if closed else "strangers or customers can read the quarantine"
            words = {"policy": policy_words, "tag": tag_words, "move": move_words}
            ignored = self._ignored(key, stored)
            return Proof(
                rungs=tuple(name for name, word in words.items() if not word),
                exempt=exempt if exempt is not None else exemptions(self._settings)[0],
                holds=self._holds(key, stored),
                quarantine_closed=closed,
                quarantine_unchecked="customer" not in self._wire.askers,
                ignored=ignored,
                versioning=self._versioning(),
                server=server,
                failed=tuple(f"{name}: {word}" for name, word in words.items() if word),
            )

    @contextmanager
    def _scratch(self) -> Iterator[tuple[str, Stored, str]]:
        key = f"{self._settings.scratch_prefix}{secrets.token_hex(8)}"
        bucket, held = self._settings.bucket, self._settings.quarantine_bucket
        try:
            answer = self._wire.call("put_object", Bucket=bucket, Key=key, Body=BODY, ContentType=CONTENT_TYPE)
            self._wire.call("put_object", Bucket=held, Key=self._held(key), Body=BODY)
            stored = list_key(self._wire, bucket, key).versions[0]
            yield key, stored, str(answer["ResponseMetadata"]["HTTPHeaders"].get("server", ""))
        finally:
            for name in (sid(f"probe {key}"), sid(f"tag {key}")):
                self._quietly_drop(name)
            delete_all(self._wire, bucket, key)
            delete_all(self._wire, bucket, f"{key}.copy")
            for copy_key in (self._held(key), f"{self._held(key)}.copy"):
                delete_all(self._wire, held, copy_key)

    def _quietly_drop(self, name: str) -> None:
        try:
            self._policy.drop(name)
        except (Unsupported, Denied, Refused):
            return

    def _held(self, key: str) -> str:
        return f"{self._settings.quarantine_prefix}probe/{key.rpartition('/')[2]}"

    def _exempt(self, key: str, stored: Stored, readers: tuple[str, ...]) -> tuple[Statement | None, str]:
        """The first exemption under which the host reads and nobody else does."""
        if not any("as customer" in door for door in readers):
            return None, "no customer account is set that can read the scratch object, so a deny cannot be proved"
        word = "no exemption of the host works"
        for exempt in exemptions(self._settings):
            try:
                self._policy.add(deny_key(f"probe {key}", self._settings.bucket, key, exempt))
            except (Denied, Unsupported, Refused) as exc:
                word = str(exc)
                continue
            closed = not self._doors.closed(key, [stored]) and self._doors.host_reads(key, [stored])
            if closed and self._copied_away(key, stored):
                word = "customers can copy a denied object to another name"
            elif closed:
                self._policy.drop(sid(f"probe {key}"))
                return exempt, ""
        self._quietly_drop(sid(f"probe {key}"))
        return None, word

    def _tag(self, key: str, stored: Stored, exempt: Statement) -> str:
        """Words about why a tag cannot block here; nothing where it can."""
        where = {"Bucket": self._settings.bucket, "Key": key, **versioned(stored.version_id)}
        ours = {"Key": TAG_KEY, "Value": TAG_VALUE}
        name = sid(f"tag {key}")
        try:
            self._policy.add(deny_tagged(self._settings.bucket, exempt, key=key, name=name))
            self._wire.call("put_object_tagging", Tagging={"TagSet": [ours]}, **where)
            if self._doors.closed(key, [stored]) or not self._doors.host_reads(key, [stored]):
                return "the server does not deny by tag"
            if self._copied_away(key, stored):
                return "customers can copy a tagged object to another name"
            self._as_customer("delete_object_tagging", **where)
            if ours not in tags_of(self._wire, self._settings.bucket, key, stored.version_id):
                return "customers can take the tag off"
        except _NO as exc:
            return str(exc)
        finally:
            self._quietly_drop(name)
        return ""

    def _copied_away(self, key: str, stored: Stored) -> bool:
        """A copy made by the server itself may pass where reading is denied."""
        bucket = self._settings.bucket
        source = {"Bucket": bucket, "Key": key, **versioned(stored.version_id)}
        try:
            self._wire.call_as("customer", "copy_object", Bucket=bucket, Key=f"{key}.copy", CopySource=source)
        except _NO:
            return False
        return True

    def _move(self, key: str) -> str:
        held, bucket = self._settings.quarantine_bucket, self._settings.bucket
        copy_key = f"{self._held(key)}.copy"
        try:
            self._wire.call("copy_object", Bucket=held, Key=copy_key, CopySource={"Bucket": bucket, "Key": key})
            head = self._wire.call("head_object", Bucket=held, Key=copy_key)
        except _NO as exc:
            return str(exc)
        return "" if int(head["ContentLength"]) == len(BODY) else "a copy is not whole"

    def _holds(self, key: str, stored: Stored) -> bool:
        """Only where a customer tried to lift it and could not: else the promise would be empty."""
        if "customer" not in self._wire.askers or stored.version_id in {"", "null"}:
            return False
        where = {"Bucket": self._settings.bucket, "Key": key, **versioned(stored.version_id)}
        eraser = Eraser(self._wire)
        try:
            eraser.set_hold(key, stored, on=True)
            self._as_customer("put_object_legal_hold", LegalHold={"Status": "OFF"}, **where)
            head = self._wire.call("head_object", **where)
            # SeaweedFS drops the content type when a hold is set: an undo could not be exact any more.
            if head.get("ObjectLockLegalHoldStatus") != "ON" or head.get("ContentType") != CONTENT_TYPE:
                return False
            return self._refused("delete_object", **where)
        except _NO:
            return False
        finally:
            self._let_go(eraser, key, stored)

    def _let_go(self, eraser: Eraser, key: str, stored: Stored) -> None:
        try:
            eraser.set_hold(key, stored, on=False)
        except _NO:
            return

    def _ignored(self, key: str, stored: Stored) -> tuple[str, ...]:
        where = {"Bucket": self._settings.bucket, "Key": key}
        named: dict[str, Any] = {**where, **versioned(stored.version_id)}
        held = {"Bucket": self._settings.quarantine_bucket, "Key": f"{self._held(key)}.copy"}
        tries: Mapping[str, Callable[[], object]] = {
            "GET If-Match": lambda: self._wire.call("head_object", IfMatch=_WRONG, **named),
            "PUT If-None-Match": lambda: self._wire.call(
                "put_object", IfNoneMatch="*", Body=BODY, Bucket=held["Bucket"], Key=self._held(key)
            ),
            "COPY If-Match": lambda: self._wire.call("copy_object", CopySource=named, CopySourceIfMatch=_WRONG, **held),
            "DELETE If-Match": lambda: self._wire.call(
                "delete_object", IfMatch=_WRONG, Bucket=held["Bucket"], Key=self._held(key)
            ),
        }
        ignored = []
        for name, act in tries.items():
            try:
                act()
            except (Changed, Denied, Unsupported, Refused):
                continue
            ignored.append(name)
        return tuple(ignored)

    def _as_customer(self, operation: str, **params: Any) -> None:
        try:
            self._wire.call_as("customer", operation, **params)
        except _NO:
            return

    def _refused(self, operation: str, **params: Any) -> bool:
        try:
            self._wire.call(operation, **params)
        except Denied:
            return True
        return False

    def _versioning(self) -> str:
        try:
            return str(self._wire.call("get_bucket_versioning", Bucket=self._settings.bucket).get("Status", ""))
        except AdapterError as exc:
            return f"unknown ({type(exc).__name__})"


def capabilities(proof: Proof, ladder: tuple[str, ...]) -> Capabilities:
    """The proof in the contract's words."""
    first = ladder[0] if ladder else ""
    frozen = proof.quarantine_closed if first == "move" else proof.holds
    can = {
        "block": bool(ladder),
        "freeze": bool(ladder) and frozen,
        "exact_unblock": first in {"policy", "tag"},
        "strong_pin": True,
        "conditions": not proof.ignored,
        "remove": True,
    }
    lost = {
        "Nothing here can block: put a gate in front of the bucket.": not ladder,
        "A block moves the object: after unblock its version ids and times are new.": first == "move",
        "No customer account is set: doors are tried as a stranger only.": proof.quarantine_unchecked,
        "Blocked bytes cannot be frozen: a customer with enough rights may delete them before they are sealed.": (
            not frozen
        ),
        "The server ignores conditions; a write between our look and our delete in a bucket without versioning "
        f"would be lost ({', '.join(proof.ignored)}).": bool(proof.ignored),
        "Without versioning an overwrite destroys what was there; only a seal made before keeps it.": (
            proof.versioning != "Enabled"
        ),
    }
    notes = (f"ladder: {' → '.join(ladder) or 'none'}", *(f"not used: {word}" for word in proof.failed))
    return Capabilities(
        name="s3",
        version=proof.server,
        can=tuple(word for word, yes in can.items() if yes),
        lost=tuple(word for word, yes in lost.items() if yes),
        notes=notes,
    )
