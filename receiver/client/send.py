"""The issuer's side: sign, send, and check the proof that comes back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from receiver.client.errors import ClientError, ReceiptError
from receiver.client.signing import sign_notice
from receiver.client.wire import Got, exchange, origin_of
from receiver.domain.clock import Clock, SystemClock
from receiver.domain.notice import UnverifiedRequest
from receiver.domain.strict_json import StrictJsonError, load_strict_json
from receiver.verification.answers import verify_answer
from receiver.verification.errors import KeyRefusedError, SigningError, VerificationError
from receiver.verification.jwk import KEY_ID_PATTERN, load_jwks
from receiver.verification.keys import KeyRing, PrivateKey
from receiver.verification.signing import check_private_key

NOTICES_PATH = "/v1/notices"
JWKS_PATH = "/.well-known/jwks.json"
LABEL = "sig1"


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What came of one request."""

    status: int
    body: Mapping[str, Any]
    signed_by: str | None
    """The receiver's key that signed the answer; None for a refusal, which is not signed."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    same_text: bool = True
    """False where the receiver took another text of this notice first; the receipt is about that one."""

    @property
    def accepted(self) -> bool:
        return self.signed_by is not None

    def lines(self) -> list[str]:
        """For people."""
        if self.accepted:
            return [f"{name}: {value}" for name, value in self._said()]
        kind = str(self.body.get("type", "")).rpartition(":")[2]
        lines = [f"refused with {self.status} {kind}".rstrip(), str(self.body.get("title", ""))]
        lines.append(str(self.body.get("detail", "")))
        lines += [f"  {fault.get('pointer')}: {fault.get('message')}" for fault in self.body.get("errors", ())]
        wait_seconds = next((value for name, value in self.headers if name.lower() == "retry-after"), None)
        lines.append(f"try again after {wait_seconds} seconds" if wait_seconds else "")
        lines.append(f"status: {self.body['status_url']}" if "status_url" in self.body else "")
        return [line for line in lines if line]

    def _said(self) -> list[tuple[str, object]]:
        told = [(name, self.body[name]) for name in ("notice_id", "direction_id", "received_at") if name in self.body]
        told += [("item " + str(item["item_id"]), item["status"]) for item in self.body.get("items", ())]
        told.append(("signed by", self.signed_by))
        if not self.same_text:
            told.append(("note", "the receiver had this notice already, in another layout; this is its first receipt"))
        if "status_url" in self.body:
            told.append(("status", self.body["status_url"]))
        return told


class IssuerClient:
    """Talks to one receiver with one key. Each call signs anew, so each may be repeated."""

    def __init__(
        self,
        *,
        to: str,
        key: PrivateKey,
        key_id: str,
        jwks: bytes | None = None,
        ca_file: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._origin = origin_of(to)
        self._key, self._key_id = key, key_id
        self._jwks, self._ca_file = jwks, ca_file
        self._clock = clock or SystemClock()

    def hand_in(self, body: bytes, *, nonce: str | None = None) -> Sent:
        """A notice, as it stands. Raises ClientError, and ReceiptError for an answer that proves nothing."""
        sent = self._ask("POST", NOTICES_PATH, body, nonce=nonce)
        return _checked(sent, body, schema="takedown-receipt/1")

    def direct(self, notice_id: str, body: bytes) -> Sent:
        """A direction about a notice handed in before."""
        sent = self._ask("POST", f"{NOTICES_PATH}/{notice_id}/directions", body)
        return _checked(sent, body, schema="takedown-direction-receipt/1")

    def status(self, notice_id: str) -> Sent:
        """How every item stands, and the events so far."""
        return self._ask("GET", f"{NOTICES_PATH}/{notice_id}", b"")

    def keys(self) -> bytes:
        """The receiver's published keys; compare their fingerprints with the operator before you rely on them."""
        if self._jwks is None:
            got = exchange("GET", self._origin + JWKS_PATH, headers={}, ca_file=self._ca_file)
            if got.status != 200:
                raise ClientError(f"the receiver's keys are not at {JWKS_PATH}; get the file from its operator")
            self._jwks = got.body
        return self._jwks

    def _ask(self, method: str, path: str, body: bytes, *, nonce: str | None = None) -> Sent:
        url, now = self._origin + path, self._clock.now()
        try:
            headers = sign_notice(method, url, body, self._key, self._key_id, now=now, nonce=nonce, label=LABEL)
        except SigningError as error:
            raise ClientError(str(error)) from error
        got = exchange(method, url, headers=headers, body=body, ca_file=self._ca_file)
        request = UnverifiedRequest(method=method, target=path, headers=tuple(headers.items()), body=body)
        answer = _read(got)
        if got.status not in (200, 202):
            return Sent(status=got.status, body=answer, signed_by=None, headers=got.headers)
        return Sent(status=got.status, body=answer, signed_by=self._verify(request, url, got), headers=got.headers)

    def _verify(self, request: UnverifiedRequest, url: str, got: Got) -> str:
        try:
            register = KeyRing(load_jwks("receiver", self.keys()))
            return verify_answer(
                request=request,
                url=url,
                label=LABEL,
                status=got.status,
                headers=got.headers,
                body=got.body,
                register=register,
                now=self._clock.now(),
            )
        except KeyRefusedError as error:
            raise ReceiptError("the receiver's keys are not sound; ask its operator for the right file") from error
        except VerificationError as error:
            raise ReceiptError(f"the answer's signature does not hold ({error.reason}); it is no receipt") from error


def send_notice(
    path: Path,
    to: str,
    *,
    key_file: Path,
    key_id: str,
    jwks_file: Path | None = None,
    ca_file: Path | None = None,
    clock: Clock | None = None,
) -> Sent:
    """Sign the notice in a file, send it and check the receipt; `Sent.lines()` says it to people.

    The receiver's keys are fetched from it unless `jwks_file` holds them. Raises ClientError or ReceiptError.
    """
    client = IssuerClient(
        to=to,
        key=load_key(key_file),
        key_id=check_key_id(key_id),
        jwks=None if jwks_file is None else _file(jwks_file),
        ca_file=ca_file,
        clock=clock,
    )
    return client.hand_in(_file(path))


def load_key(path: Path) -> PrivateKey:
    """A private key in PEM, without a passphrase. Raises ClientError."""
    try:
        return check_private_key(load_pem_private_key(_file(path), password=None))
    except (ValueError, TypeError) as error:
        raise ClientError(f"{path.name} is no private key in PEM without passphrase") from error
    except SigningError as error:
        raise ClientError(f"{path.name}: {error}") from error


def check_key_id(key_id: str) -> str:
    if KEY_ID_PATTERN.fullmatch(key_id):
        return key_id
    raise ClientError("a key id is 1 to 128 of A-Z a-z 0-9 . _ ~ : -; take the one the receiver registered")


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ClientError(f"{path.name} cannot be read ({error.strerror})") from error


def _read(got: Got) -> Mapping[str, Any]:
    """The JSON object of an answer; what is no JSON came from something in between."""
    try:
        value = load_strict_json(got.body)
    except StrictJsonError:
        value = None
    if isinstance(value, dict):
        return value
    if got.status in (200, 202):
        raise ReceiptError("the answer is no JSON; something between you and the receiver changed it")
    return {"title": "The answer is not the receiver's own; look at what stands in front of it"}


def _checked(sent: Sent, body: bytes, *, schema: str) -> Sent:
    """The signature held; is it about what was sent?"""
    if not sent.accepted:
        return sent
    asked = load_strict_json(body)
    answer = sent.body
    same = all(answer.get(name) == asked[name] for name in ("notice_id", "direction_id", "issuer") if name in asked)
    if answer.get("schema") != schema or not same:
        raise ReceiptError("the receipt is signed, but not about what was sent; ask the receiver's operator")
    same_text = answer.get("body_sha256") == hashlib.sha256(body).hexdigest()
    return Sent(status=sent.status, body=answer, signed_by=sent.signed_by, headers=sent.headers, same_text=same_text)
