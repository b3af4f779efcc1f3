"""Harnesses of what our own files, stores, agents and peers give back, changed or made up by somebody else."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import io
import ipaddress
import json
import os
import re
import socket
import tempfile
from pathlib import Path
from typing import Any

from adapters import contract
from adapters.agent import protocol
from adapters.agent.settings import SettingsError
from adapters.agent.settings import load as load_agent
from adapters.contract import AdapterError, CacheHints, DenyTarget, Pin, Retryable, from_json, to_json
from adapters.filesystem.record import _record_from
from adapters.http import MAX_RETRY_AFTER_SECONDS, retry_after_seconds
from adapters.nginx import keys as nginx_keys
from adapters.nginx.book import Book
from adapters.nginx.rules import resolved_path, rules_for
from adapters.s3.listing import split_pin
from adapters.s3.policy import _seconds
from adapters.s3.record import _decode as s3_record
from adapters.varnish.variants import keys_for as varnish_keys
from receiver.client import listen
from receiver.config.errors import ConfigError
from receiver.config.load import load_config
from receiver.domain.errors import ReceiverError
from receiver.domain.strict_json import StrictJsonError
from receiver.domain.web import LookTarget, Seen
from receiver.ledger.checkpoint import Signer, Verifier
from receiver.ledger.copies import parse_copy
from receiver.ledger.errors import LedgerError
from receiver.net.guard import address_class, parse_address
from receiver.net.peek import _date as read_peer_date
from receiver.outside.judge import judge
from receiver.outside.judge import read_answer as read_look
from receiver.report.letter import read_answer as read_callback_answer
from receiver.resolution.urls import UrlRefusedError, canonical_url
from receiver.store.codec import Codec, Form, _format, parse
from receiver.store.crypto import Sealer, parse_data_key
from receiver.store.errors import DataKeyError
from receiver.vault import age, bech32
from receiver.vault.errors import AgeError
from tests.faults.fuzz.harness import harness, must, pieces, text
from tests.vectors.base import BODY
from tests.vectors.keys import ed25519_key

NOW = dt.datetime(2026, 11, 22, 9, 30, tzinfo=dt.UTC)
FOLDER = Path(tempfile.gettempdir()) / f"fuzz-{os.getpid()}"
DAY = 24 * 3600.0
LOOK_AT = LookTarget(url="https://img.example.net/a", scheme="https", host="img.example.net", port=443)


def written(name: str, data: bytes) -> Path:
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / name).write_bytes(data)
    return FOLDER / name


# --- the agent and the contract's values

RECEIPT = contract.BlockReceipt(op_id="o", ref=contract.Ref(b"a", b"b"), pins=(Pin("1"),), undo={"a": 1})
SAID = json.dumps({"v": 1, "id": 1, "adapter": "storage", "name": "x", "method": "observe", "args": {}}).encode()


def frame(kind: bytes, payload: bytes) -> bytes:
    return protocol.HEAD.pack(kind, len(payload)) + payload


@harness(
    "adapters/agent/protocol.py:receive_frame",
    "adapters/agent/protocol.py:json_of",
    seeds=(frame(b"J", SAID), frame(b"B", b"x"), b"J\xff\xff\xff\xff", frame(b"J", b"[" * 3000)),
)
def agent_frames(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data[:60_000])
        theirs.shutdown(socket.SHUT_WR)
        with contextlib.suppress(protocol.ProtocolError):
            while (message := protocol.receive_json(ours)) is not None:
                must(message["v"] == protocol.VERSION, "another version")
                if isinstance(message.get("error"), dict):
                    must(isinstance(protocol.error_from_json(message["error"]), AdapterError), "another family")


VALUES: tuple[Any, ...] = tuple(
    kind
    for kind in vars(contract).values()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and not issubclass(kind, BaseException)
)


@harness(
    "adapters/json_form.py:from_json",
    "adapters/json_form.py:_bytes",
    seeds=tuple(
        bytes([VALUES.index(kind)]) + json.dumps(shown).encode()
        for kind, shown in (
            (contract.BlockReceipt, to_json(RECEIPT)),
            (contract.Ref, {"locator": {"b64": "AAAA"}, "scope": {"b64": ""}}),
            (contract.OriginState, {"origin": "replaced", "doors": ["x"], "pin": {"value": "1", "weak": False}}),
            (contract.Ref, {"locator": {"b64": 5}}),
        )
    ),
)
def contract_values(data: bytes) -> None:
    try:
        given = json.loads(data[1:])
    except (ValueError, RecursionError):
        return
    kind = VALUES[(data[0] if data else 0) % len(VALUES)]
    # TypeError too: whoever reads one of these catches both.
    with contextlib.suppress(ValueError, TypeError):
        value = from_json(kind, given)
        must(from_json(kind, to_json(value)) == value, "another value when written and read again")
        repr(value)


@harness(
    "adapters/agent/settings.py:_parsed",
    seeds=(b'socket = "s"\nallow_uids = [1]\n[filesystems.a]\nroot = "/x"\n', b'{"socket": "s"}', b"\xff"),
)
def agent_settings(data: bytes) -> None:
    for name in ("agent.toml", "agent.json"):
        with contextlib.suppress(SettingsError):
            load_agent(str(written(name, data)))


# --- adapters


@harness(
    "adapters/nginx/keys.py:names",
    "adapters/nginx/keys.py:_is_one",
    "adapters/nginx/keys.py:stored_key",
    "adapters/nginx/keys.py:wanted_of",
    "adapters/nginx/keys.py:keys_for",
    "adapters/nginx/keys.py:spellings",
    seeds=(
        b"\x05\nKEY: https://up/a/b?c\n\0https://img.example.net/a%2fb?c",
        b"\nKEY: httpimg.example.net:80/a\n\0http://x",
    ),
)
def nginx_cache_keys(data: bytes) -> None:
    head, url = pieces(data, 2)
    key = nginx_keys.stored_key(head)
    plain = url.decode("ascii", "ignore")
    template = nginx_keys.KeyTemplate("$scheme$host$request_uri", ("up",))
    nginx_keys.spellings(plain)
    if not re.match(r"https?://", plain):
        return
    with contextlib.suppress(ValueError):  # what the standard library does not take for a URL
        wanted = nginx_keys.wanted_of(plain)
        template.names(key or head, frozenset({wanted}))
        if re.fullmatch(r"https?://[a-z0-9.]+/[A-Za-z0-9._~/-]*", plain):
            must(all(template.names(made, frozenset({wanted})) for made in template.keys_for(plain)), "not its own key")


@harness("adapters/nginx/rules.py:resolved_path", seeds=(b"/a//b/../c/./", b"/..", b"/a b\n"))
def nginx_paths(data: bytes) -> None:
    path = b"/" + data
    must(resolved_path(resolved_path(path)) == resolved_path(path), "resolved twice is another path")
    must(b".." not in resolved_path(path).split(b"/"), "it leaves the folder")
    with contextlib.suppress(AdapterError):
        host = data[:20].decode("latin-1")
        for rule in rules_for(DenyTarget(url="", host=host, path=path)):
            must(rule.host == host, "another host")


@harness("adapters/nginx/book.py:load", "adapters/nginx/book.py:_rule_from", seeds=(b'{"v":1,"ops":{}}', b"[]", b""))
def nginx_book(data: bytes) -> None:
    with contextlib.suppress(AdapterError):
        Book(str(written("book.json", data))).load()


@harness(
    "adapters/varnish/variants.py:keys_for",
    "adapters/varnish/variants.py:_browser",
    "adapters/varnish/variants.py:_spellings",
    seeds=(b"https://img.example.net:8080/a%20b/\xc3\xbc?x", b"http://x", b"https://u@x/\\"),
)
def varnish_names(data: bytes) -> None:
    """Only what passed as a URL comes here, and with it the URL as it was notified."""
    raw = data.decode("utf-8", "replace")
    with contextlib.suppress(UrlRefusedError):
        url = canonical_url(raw).url
        for key in varnish_keys(url, CacheHints(raw_urls=(raw,)), hosts=("img.example.net",), ban_header="x-ban"):
            must(not set(key.value) & set("\r\n \t"), "a blank ends the request line")
            must(not any(set(value) & set("\r\n") for _, value in key.headers), "a line end in a header")


@harness(
    "adapters/s3/record.py:_decode",
    "adapters/s3/listing.py:split_pin",
    seeds=(b'{"record":"{}","sha256":"x"}', b"version/a%2f/b/5", b"held///\xc2\xb2"),
)
def s3_words(data: bytes) -> None:
    with contextlib.suppress(Retryable):
        s3_record(data)
    with contextlib.suppress(AdapterError):
        must(split_pin(Pin(text(data)))[3] >= 0, "a size below zero")


HELD = b'{"v":1,"names":[],"links":[{"a":{"b64":"AA=="}}],"locator":{"b64":""},"scope":{"b64":""}}'


@harness("adapters/filesystem/record.py:_record_from", "adapters/filesystem/record.py:load", seeds=(HELD, b"{}"))
def filesystem_record(data: bytes) -> None:
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):  # `Operation.load` answers for them
        _record_from(json.loads(data))


DATES = (b"Sun, 22 Nov 2026 09:30:00 GMT", b"120", b"99 Jan 1 1:1:1 +99999999999999", b"1 Jan 99999999999999999999 0:0")


@harness("adapters/http.py:retry_after_seconds", seeds=DATES)
def retry_after(data: bytes) -> None:
    given = {"Retry-After": data.decode("latin-1")}
    must(0 <= retry_after_seconds(given, now=NOW) <= MAX_RETRY_AFTER_SECONDS, "no time to wait")


@harness("receiver/net/peek.py:_date", seeds=DATES)
def peer_date(data: bytes) -> None:
    found = read_peer_date(data.decode("ascii", "replace"))
    must(found is None or found.tzinfo is not None, "a time of nowhere")


@harness("receiver/report/letter.py:_retry_after", seeds=DATES)
def callback_answers(data: bytes) -> None:
    given = {"Retry-After": data.decode("latin-1")}
    answer = read_callback_answer(503, given, int(NOW.timestamp() * 1e6))
    must(0 <= answer.retry_after_seconds <= DAY, "no time to wait")


@harness("adapters/s3/policy.py:_seconds", seeds=DATES)
def s3_dates(data: bytes) -> None:
    must(_seconds(data.decode("latin-1")) > -1e18, "no time")


@harness(
    "receiver/outside/judge.py:read_answer",
    "receiver/outside/judge.py:_redirect",
    seeds=(b'"etag"\0200\0https://img.example.net/b', b"bytes 0-1/99\0301\0//[::1", b"text/html; x\0416\0"),
)
def looks(data: bytes) -> None:
    value, status, location = (part.decode("latin-1") for part in pieces(data, 3))
    names = ("etag", "age", "content-type", "content-length", "content-range", "via", "server")
    lines = dict.fromkeys(names, value)
    number = 200 + sum(status.encode("latin-1")) % 400
    answer = read_look(number, {**lines, "location": location})
    must(answer.length is None or answer.length >= 0, "a length below zero")
    found = judge(answer, LOOK_AT, requested_url="https://img.example.net/a")
    must(found.verdict is not Seen.GONE or number in (404, 410, 451), "gone without being told so")


# --- our own files and columns

SECRET = bytes(range(32))
SEALER = Sealer(SECRET)
CODEC = Codec(SEALER)
SEALED = SEALER.seal("item:url:1", b"https://img.example.net/")


@harness(
    "receiver/store/crypto.py:open",
    "receiver/store/crypto.py:parse_data_key",
    "receiver/store/codec.py:parse",
    seeds=(SEALED, b"\x01" + bytes(27), b"00" * 32, b'{"_b64":{"b64":"AA=="}}'),
)
def encrypted_columns(data: bytes) -> None:
    with contextlib.suppress(DataKeyError):
        must(SEALER.open("item:url:1", data) == b"https://img.example.net/", "a value that nobody sealed")
    with contextlib.suppress(DataKeyError):
        must(len(parse_data_key(data)) == 32, "a key of another length")
    must(SEALER.open("a:b:c", SEALER.seal("a:b:c", data)) == data, "another value than was sealed")
    for form in (Form.BYTES, Form.TEXT):
        with contextlib.suppress(UnicodeDecodeError):
            must(_format(form, parse(form, data)) == data, "other bytes when written again")
    for form in (Form.JSON, Form.LOOSE):
        # Only what `_format` wrote is ever read: take a value, write it, read it, and it must be the same.
        with contextlib.suppress(ValueError, TypeError, RecursionError):
            value = json.loads(data)
            must(parse(form, _format(form, value)) == value, "another value than was written")


IDENTITY = age.Identity(secret=SECRET)
HEADER = age.make_header(bytes(16), [IDENTITY.recipient])


@harness(
    "receiver/vault/age.py:_parse",
    "receiver/vault/age.py:_unb64",
    "receiver/vault/bech32.py:decode",
    seeds=(HEADER, HEADER + b"payload", IDENTITY.recipient.text.encode(), b"age-encryption.org/v1\n-> X25519\n---"),
)
def age_files(data: bytes) -> None:
    with contextlib.suppress(AgeError):
        must(age.parse_header(data) > 0, "a header without stanzas")
        must(age.unwrap(data, IDENTITY) == bytes(16), "another file key")
    with contextlib.suppress(AgeError):
        must(data.startswith(age.read_header(io.BytesIO(data))), "other bytes than were read")
    for read in (age.parse_recipient, age.parse_identity):
        with contextlib.suppress(AgeError):
            read(data.decode("latin-1"))
    with contextlib.suppress(ValueError):
        prefix, found = bech32.decode(data.decode("latin-1"))
        must(bech32.encode(prefix, found).lower() == data.decode("latin-1").lower(), "another text when written again")


SIGNER = Signer("ledger.example", ed25519_key("a"))
VERIFIER = Verifier(SIGNER.vkey)
NOTE = SIGNER.sign(size=7, root=bytes(32), now=NOW)


@harness(
    "receiver/ledger/checkpoint.py:_read",
    "receiver/ledger/checkpoint.py:_unb64",
    "receiver/ledger/copies.py:parse_copy",
    seeds=(NOTE.encode(), f"{NOTE}\n{NOTE}\n".encode(), NOTE.encode()[:-9], f"x\n7\n\n\n\n{NOTE}".encode()),
)
def checkpoint_notes(data: bytes) -> None:
    shown = data.decode("utf-8", "replace")
    with contextlib.suppress(LedgerError):
        must(VERIFIER.open(shown) == VERIFIER.open(NOTE), "a checkpoint that nobody signed")
    with contextlib.suppress(LedgerError):
        VERIFIER._read(shown)
    with contextlib.suppress(LedgerError):
        Verifier(shown)
    found = parse_copy(shown)
    must(all(note in shown for note in found.notes), "a note that is not there")
    must(found.unreadable <= len(shown), "more is unreadable than there is")


SETTINGS = Path("config.example.toml").read_bytes() if Path("config.example.toml").exists() else b""


@harness(
    "receiver/config/sources.py:_read",
    "receiver/config/sources.py:_value",
    "receiver/config/load.py:_validated",
    "receiver/config/values.py:_bind",
    "receiver/config/values.py:_split",
    "receiver/config/sections.py:_known_database",
    seeds=(SETTINGS, b'[server]\npublic_bind = "[::1]:0"\n[database]\nurl = "sqlite:///x"', b"[[issuers]]\nid=1"),
)
def settings_file(data: bytes) -> None:
    head, _, value = data.partition(b"\0")
    path = written("config.toml", head)
    plain = value.decode("utf-8", "ignore").replace("\0", "")
    with contextlib.suppress(ConfigError):
        load_config(path, {"TAKEDOWN_SERVER__PUBLIC_BIND": plain} if plain else {})


@harness(
    "receiver/net/guard.py:parse_address",
    "receiver/net/guard.py:address_class",
    seeds=(b"[::ffff:127.0.0.1]:443", b"192.0.2.7:80", b"64:ff9b::7f00:1", b"fe80::1%eth0"),
)
def addresses(data: bytes) -> None:
    given = text(data)
    with contextlib.suppress(ValueError):
        must(parse_address(str(parse_address(given))) == parse_address(given), "another address when written again")
    with contextlib.suppress(ValueError):
        kind = address_class(given)
        inside = ipaddress.ip_address(given.partition("%")[0])
        must(kind is not None or inside.is_global, "a private address is called public")


CALLBACK = {
    "specversion": "1.0",
    "id": "1",
    "source": "s",
    "type": "t",
    "subject": "s",
    "time": "t",
    "data": {"notice_id": "n", "item_id": "1", "status": "removed", "sequence": 1},
}


@harness(
    "receiver/client/listen.py:_read",
    seeds=(json.dumps(CALLBACK).encode(), json.dumps([CALLBACK] * 2).encode(), BODY),
)
def callbacks(data: bytes) -> None:
    with contextlib.suppress(StrictJsonError, listen._NotACallbackError, ReceiverError):
        must(len(listen._read(data)) >= 1, "no callback in it")
