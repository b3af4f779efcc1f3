"""Issuers' servers and the clocks: does each answer, with which certificate, and is its time ours?"""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from receiver.cli.findings import Finding, fail, ok, warn
from receiver.config import Config, Issuer
from receiver.domain.clock import SystemClock
from receiver.net.errors import SendError, SendFailure
from receiver.net.peek import Peer, peek

AT_ONCE = 8
SOON_DAYS = 14
MAX_DRIFT_SECONDS = 60.0
"""A Date header has whole seconds, and may be made a moment before it is sent."""
CLOCK_SECONDS = 5
_NAMES = frozenset({SendFailure.DNS, SendFailure.REFUSED_ADDRESS})
_DOWN = frozenset({SendFailure.CONNECT, SendFailure.TIMEOUT})
"""What passes by itself once the issuer's server is up again."""
_IF_IT_LASTS = "If it lasts, ask the issuer; where no issuer's server answers, see the firewall on the way out"
DOWN: Mapping[str, str] = {
    "callback_url": f"Callbacks are tried again for callbacks.give_up_after_hours. {_IF_IT_LASTS}",
    "keys_url": f"The keys that were fetched last stay in force, and it is asked again each hour. {_IF_IT_LASTS}",
}


def ask_peers(config: Config) -> Iterator[Finding]:
    """All issuers at once, so that slow ones are waited for together."""
    jobs = [(issuer, "callback_url", issuer.callback_url) for issuer in config.issuers if issuer.callback_url]
    jobs += [(issuer, "keys_url", issuer.keys_url) for issuer in config.issuers if issuer.keys_url]
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        for found in pool.map(lambda job: list(_ask_peer(*job)), jobs):
            yield from found
    for issuer in config.issuers:
        if not issuer.callback_url:
            yield warn("B04", f"issuers.{issuer.id}", "it has no callback_url and hears nothing unless it asks")


PLAIN_HTTP = (
    "Only for an issuer inside your own network or a trial: else ask it for an https address and take"
    " allow_private_callback out"
)


def _ask_peer(issuer: Issuer, setting: str, url: str) -> Iterator[Finding]:
    about, documented = f"issuers.{issuer.id}.{setting}", f"issuers.{setting}"
    callback = setting == "callback_url"
    ca_file = str(issuer.callback_ca_file) if callback and issuer.callback_ca_file else None
    try:
        peer = peek(url, allow_private=callback and issuer.allow_private_callback, ca_file=ca_file)
    except (SendError, OSError) as error:
        yield replace(_refused(about, setting, error), setting=documented)
        return
    yield from (replace(finding, setting=documented) for finding in _told(about, peer))


def _refused(about: str, setting: str, error: SendError | OSError) -> Finding:
    """That an issuer's server is down is no mistake of this machine: only what a person here must mend fails."""
    if not isinstance(error, SendError):
        return fail("B02", about, "the file of its authority cannot be used")
    if error.kind in _DOWN:
        return replace(warn("B02", about, str(error)), advice=DOWN[setting])
    return fail("B01" if error.kind in _NAMES else "B02", about, str(error))


def _told(about: str, peer: Peer) -> Iterator[Finding]:
    now = SystemClock().now()
    yield ok("B01", about, "its name resolves", addresses=peer.addresses)
    if peer.tls_ms is None:
        yield replace(warn("B02", about, "it answers, over plain http", connect_ms=peer.connect_ms), advice=PLAIN_HTTP)
    else:
        yield ok("B02", about, "it answers", connect_ms=peer.connect_ms, tls_ms=peer.tls_ms)
    if peer.certificate_ends_at is not None:
        yield until(about, "B03", peer.certificate_ends_at, now)
    if peer.said_at is not None:
        ahead_seconds = (peer.said_at - now).total_seconds()
        far = abs(ahead_seconds) > MAX_DRIFT_SECONDS
        words = f"its clock is {'ahead of' if ahead_seconds > 0 else 'behind'} ours" if far else "its clock is ours"
        yield (warn if far else ok)("T03", about, words, drift_seconds=abs(ahead_seconds))


def until(about: str, question: str, ends_at: dt.datetime, now: dt.datetime) -> Finding:
    """How long a certificate still holds."""
    days = (ends_at - now).days
    if days < 0:
        return fail(question, about, "the certificate has ended", left_days=days)
    if days < SOON_DAYS:
        return warn(question, about, "the certificate ends soon", left_days=days)
    return ok(question, about, "the certificate holds", left_days=days)


def ask_clock(config: Config) -> Iterator[Finding]:
    """Leases and deadlines bear a wrong clock; evidence times in court do not."""
    del config
    timedatectl = shutil.which("timedatectl")
    if timedatectl is None:
        yield warn("T01", "clock", "cannot tell whether a time service keeps it; see to that on the host")
        return
    try:
        shown = subprocess.run(
            [timedatectl, "show", "--property=NTPSynchronized", "--value"],
            capture_output=True,
            text=True,
            timeout=CLOCK_SECONDS,
            check=False,
        ).stdout.strip()
    except subprocess.SubprocessError as error:
        yield warn("T01", "clock", f"the host's time service cannot be asked ({type(error).__name__})")
        return
    if shown == "yes":
        yield ok("T01", "clock", "kept by a time service")
    else:
        yield warn("T01", "clock", "no time service says that it keeps the clock; evidence times rest on it")
