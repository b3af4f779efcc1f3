"""Where bytes or text from elsewhere are read, found in the code itself.

A function counts when it calls something that turns foreign text into values. What reads with regular expressions and
slices only cannot be found this way; such parsers are named in BY_HAND.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
READERS = {
    "json.loads", "json.load", "tomllib.loads", "tomllib.load", "http_sf.parse", "can_ada.parse", "load_strict_json",
    "base64.b64decode", "base64.urlsafe_b64decode", "bytes.fromhex", "bytearray.fromhex", "unquote_to_bytes", "unquote",
    "urlsplit", "ipaddress.ip_address", "ipaddress.ip_network", "parsedate_to_datetime", "fromisoformat", "unpack",
    "unpack_from", "iter_unpack", "idna.encode", "idna.decode", "ElementTree.fromstring", "parse_qsl", "parse_qs",
    "load_pem_private_key", "load_pem_public_key", "load_pem_x509_certificate", "load_ssh_public_key", "pickle.loads",
    "yaml.safe_load", "model_validate_json", "model_validate",
}  # fmt: skip
OUTSIDE = ("adapters/conformance/", "receiver/demo/")
"""Test tools and the demonstration: nobody else's bytes reach them."""
BY_HAND = {
    "receiver/vault/age.py:_parse",
    "receiver/vault/bech32.py:decode",
    "receiver/ledger/copies.py:parse_copy",
    "receiver/store/crypto.py:open",
    "receiver/intake/times.py:parse_rfc3339",
    "receiver/verification/wellformed.py:check_content",
    "receiver/outside/judge.py:read_answer",
    "receiver/resolution/routes.py:lookup",
    "adapters/nginx/keys.py:names",
    "adapters/nginx/keys.py:stored_key",
    "adapters/nginx/rules.py:resolved_path",
    "adapters/json_form.py:from_json",
    "receiver/domain/strict_json.py:load_strict_json",
    "receiver/api/raw.py:_read_body",
    "receiver/domain/ids.py:parse_case_code",
}

ELSEWHERE = {
    "adapters/agent/privileges.py:_permitted": "the kernel's answer",
    "adapters/filesystem/syscalls.py:birth_ns": "the kernel's answer",
    "adapters/filesystem/syscalls.py:get_flags": "the kernel's answer",
    "adapters/agent/server.py:_refusal": "the kernel's answer: who is at the other end of the socket",
    "adapters/memory/cache.py:_variants": "the store that exists for tests and the demonstration",
    "adapters/memory/gate.py:plain_path": "the store that exists for tests and the demonstration",
    "adapters/nginx/cache.py:url_variants": "takes URLs that canonical_url made",
    "adapters/nginx/rules.py:literal_query": "takes URLs that canonical_url made",
    "adapters/nginx/reload.py:__init__": "the operator's own setting, judged at the start",
    "adapters/nginx/reload.py:_answer": "one line from an nginx that we started, compared as bytes",
    "adapters/s3/policy.py:_read": "asks the store first: tests/conformance/test_s3_lies.py lets it answer nonsense",
    "receiver/ledger/readers.py:_take": "what our own child said; tests/unit/ledger/test_readers.py lets it lie",
    "adapters/s3/settings.py:_plain_url": "the operator's own setting, judged at the start",
    "adapters/varnish/settings.py:__post_init__": "the operator's own setting, judged at the start",
    "adapters/varnish/settings.py:address": "the operator's own setting, judged at the start",
    "receiver/cli/checks/listening.py:_ask_certificate": "the operator's own setting",
    "receiver/cli/checks/listening.py:_ask_reach": "the operator's own setting",
    "receiver/cli/issuer_keys.py:joined": "reads what load_jwks has taken",
    "receiver/cli/local_http.py:_connection": "the operator's own setting",
    "receiver/cli/local_http.py:_parsed": "our own answers on loopback",
    "receiver/client/send.py:_checked": "reads an answer whose signature held",
    "receiver/client/send.py:_read": "reads an answer whose signature held",
    "receiver/client/send.py:load_key": "the issuer's own key file",
    "receiver/client/wire.py:_split": "the issuer's own setting",
    "receiver/config/load.py:_rest": "through settings_file",
    "receiver/config/values.py:is_loopback": "through settings_file",
    "receiver/keyfiles.py:published_mismatch": "our own key files",
    "receiver/ledger/checkpoint.py:load_ledger_key": "our own key file",
    "receiver/net/peek.py:peek": "the addresses in the operator's settings",
    "receiver/net/pinned.py:parts": "the address in the operator's settings",
    "receiver/outside/look.py:_exact": "takes URLs that canonical_url made",
    "receiver/outside/look.py:_variants": "takes URLs that canonical_url made",
    "receiver/steps/signed_again.py:_same_direction": "reads a path whose signature held, to compare it",
    "receiver/steps/signed_answers.py:read_public_jwks": "our own key file",
    "receiver/store/entries.py:detail_row": "reads what the line above it wrote",
    "receiver/verification/jwks.py:check_jwks_url": "the operator's own setting, judged at the start",
    "receiver/wiring/admin.py:build_admin": "our own key file",
    "receiver/wiring/counts.py:_read": "our own processes' files, behind a checksum",
    "receiver/wiring/parts.py:signing_key": "our own key file",
}
"""Reads as well, but no harness drives it: why."""


def found_in_code() -> set[str]:
    """`path:function` of every function that calls one of READERS."""
    return {f"{path.relative_to(ROOT)}:{name}" for path in _files() for name in _reading(path)}


def _files() -> Iterator[Path]:
    for room in ("receiver", "adapters"):
        for path in sorted((ROOT / room).rglob("*.py")):
            if not str(path.relative_to(ROOT)).startswith(OUTSIDE):
                yield path


def _reading(path: Path) -> Iterator[str]:
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            calls = {_name(call.func) for call in ast.walk(function) if isinstance(call, ast.Call)}
            if any(call in READERS or call.rpartition(".")[2] in READERS for call in calls):
                yield function.name


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
