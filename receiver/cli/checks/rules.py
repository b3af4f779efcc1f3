"""Issuers, routes and policy, as the worker will read them."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from receiver.cli.base import CommandError
from receiver.cli.findings import Finding, Level, counted, fail, ok, warn
from receiver.cli.issuer_keys import known_keys
from receiver.cli.opened import opened_if_it_opens
from receiver.config import Config, Issuer
from receiver.config.checks import GROUPS
from receiver.domain.clock import SystemClock
from receiver.domain.errors import ReceiverError
from receiver.domain.ports import KeyOverlay
from receiver.resolution.protection import Protected
from receiver.resolution.routes import Route, RoutesRefusedError, RouteTable
from receiver.verification.errors import KeyRefusedError
from receiver.verification.jwk import load_jwks
from receiver.verification.keys import KeyRecord, KeyRing, KeyStatus, merge_overlay
from receiver.wiring.directories import read_directory

MONTH = dt.timedelta(days=30)


def ask_routes(config: Config) -> Iterator[Finding]:
    try:
        RouteTable(Route(**entry.model_dump()) for entry in config.routes)
        yield ok("R01", "routes", counted(len(config.routes), "routes"))
    except RoutesRefusedError as error:
        yield from (fail("R01", "routes", problem) for problem in error.problems)
    for number, prefix in enumerate(config.policy.protected, 1):
        try:
            Protected.parse(prefix)
        except ValueError as error:
            yield fail("R02", f"policy.protected.{number}", str(error))
    if not config.routes or not config.issuers:
        yield warn("R05", "settings", "without an issuer and a route no notice can come to anything")
    yield from _unused(config)


def _unused(config: Config) -> Iterator[Finding]:
    used: dict[str, set[str | None]] = {
        "adapters": {route.storage for route in config.routes},
        "gates": {name for route in config.routes for name in route.gates},
        "caches": {name for route in config.routes for name in route.caches},
    }
    settings = {"adapters": "routes.storage", "gates": "routes.gates", "caches": "routes.caches"}
    for section in GROUPS:
        for name in sorted(set(getattr(config, section)).difference(used[section])) if config.routes else ():
            words = "no route names it, so nothing is ever done there"
            yield replace(warn("R06", f"{section}.{name}", words), setting=settings[section])


def ask_policy(config: Config) -> Iterator[Finding]:
    """Choices that are allowed and that people should see."""
    if not config.policy.two_people:
        yield warn("R07", "policy.two_people", "one person can release, restore and destroy evidence")
    if config.policy.on_withdrawal != "two_people":
        yield warn("R08", "policy.on_withdrawal", f"an issuer's withdrawal needs: {config.policy.on_withdrawal}")


def ask_issuers(config: Config) -> Iterator[Finding]:
    """Every issuer by itself: one bad file must not hide the next."""
    all_records: list[KeyRecord] = []
    bad = 0
    for issuer in config.issuers:
        about = f"issuers.{issuer.id}"
        try:
            path = issuer.keys_file
            records = load_jwks(issuer.id, path.read_bytes()) if path else read_directory(config, issuer.id)
        except (OSError, KeyRefusedError) as error:
            if isinstance(error, KeyRefusedError):
                yield fail("R03", about, f"the keys file: {error}")
            else:
                words = f"the keys file cannot be read ({error.strerror})"
                yield replace(fail("R03", about, words), advice="See what C30 or C32 says of the file")
            bad += 1
            continue
        all_records += records
        yield _in_time(about, records, from_url=path is None)
    try:
        KeyRing(all_records)
    except ReceiverError as error:
        yield fail("R03", "issuers", str(error))
        bad += 1
    if config.issuers and not bad:
        words = f"{counted(len(config.issuers), 'issuers')} with {counted(len(all_records), 'keys')} in files"
        yield ok("R03", "issuers", words)


def ask_register(config: Config) -> Iterator[Finding]:
    """What people and the database say of the keys. What cannot be read was said already."""
    with opened_if_it_opens(config) as store:
        if store is None:
            return
        try:
            overlay = store.key_overlay()
        except ReceiverError:
            return
    for issuer in config.issuers:
        yield from _believed(config, issuer, overlay)


def _believed(config: Config, issuer: Issuer, overlay: Sequence[KeyOverlay]) -> Iterator[Finding]:
    try:
        records = merge_overlay(known_keys(config, issuer), overlay).records
    except CommandError:
        return
    counts = Counter(record.status for record in records)
    if counts[KeyStatus.ACTIVE]:
        yield ok("R09", f"issuers.{issuer.id}", "a key of its own is believed", keys=counts[KeyStatus.ACTIVE])
    elif counts[KeyStatus.PENDING]:
        words = "its keys wait for people: all its notices are refused until then"
        yield warn("R09", f"issuers.{issuer.id}", words, waiting_keys=counts[KeyStatus.PENDING])
    elif records:
        yield warn("R09", f"issuers.{issuer.id}", "none of its keys is believed any more: all its notices are refused")


def _in_time(about: str, records: Sequence[KeyRecord], *, from_url: bool) -> Finding:
    """One key that is good now, and one that will be good in a month."""
    now = SystemClock().now()
    setting = "issuers.keys_url" if from_url else "issuers.keys_file"
    usable = [record for record in records if record.status in (KeyStatus.ACTIVE, KeyStatus.PENDING)]
    good = [record for record in usable if _covers(record, now)]
    if not good:
        level, words = Level.FAIL, "none of its keys is good now: all its notices would be refused"
        level = Level.WARN if from_url and not records else level
        return Finding(id="R04", about=about, level=level, words=words, setting=setting)
    ends = [record.not_after for record in usable if record.not_after is not None]
    if any(_covers(record, now + MONTH) for record in usable):
        return ok("R04", about, "a key is good now and in a month", keys=len(good))
    days = (max(ends) - now).days if ends else 0
    words = "its last key ends within a month"
    return Finding(id="R04", about=about, level=Level.WARN, words=words, setting=setting, measured={"left_days": days})


def _covers(record: KeyRecord, moment: dt.datetime) -> bool:
    return (record.not_before is None or record.not_before <= moment) and (
        record.not_after is None or moment < record.not_after
    )
