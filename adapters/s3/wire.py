"""The line to the server: one client for each who asks, and the server's refusals in the contract's words.

Everything the adapter does to a store goes through `Wire.call`; nothing it raises holds a key, a URL or a secret.
"""

from __future__ import annotations

import functools
import logging
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import quote

import botocore.session
from botocore import UNSIGNED
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    SSLError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.httpsession import URLLib3Session

from adapters.contract import AdapterError, Changed, Denied, NotFound, Retryable, Unsupported
from adapters.http import Secret, read_secret
from adapters.s3.settings import S3Settings

Who = Literal["host", "customer", "stranger"]
Answer = Mapping[str, Any]

PRESIGN_SECONDS = 60
_MISSING = {"NoSuchKey", "NoSuchVersion", "NoSuchUpload", "NoSuchBucket", "NoSuchBucketPolicy", "NoSuchTagSet"}
_CHANGED = {"PreconditionFailed", "ConditionalRequestConflict", "InvalidRange"}
_BUSY = {"SlowDown", "Throttling", "RequestTimeout", "ServiceUnavailable", "InternalError", "OperationAborted"}
_CLOCK = {"RequestTimeTooSkewed", "RequestExpired"}


class Refused(AdapterError):
    """The server's no to one request, in a form that says neither forbidden nor missing."""


class Wire:
    """Clients of the host, of a customer's account where there is one, and of nobody."""

    def __init__(self, settings: S3Settings) -> None:
        self.settings = settings
        keys = _keys(settings.access_key_file, settings.secret_key_file, "")
        self._clients: dict[Who, Any] = {"host": _client(settings, keys), "stranger": _client(settings, None)}
        if settings.customer_access_key_file:
            theirs = _keys(settings.customer_access_key_file, settings.customer_secret_key_file, "customer_")
            self._clients["customer"] = _client(settings, theirs)
        self._plain = URLLib3Session(
            verify=settings.ca_file or True, timeout=(settings.connect_seconds, settings.read_seconds), proxies={}
        )

    def __repr__(self) -> str:
        return "Wire()"

    @property
    def askers(self) -> tuple[Who, ...]:
        """Who may be asked about doors."""
        return ("stranger", "customer") if "customer" in self._clients else ("stranger",)

    def call(self, operation: str, **params: Any) -> Answer:
        """One S3 operation as the host. Raises the contract's errors only."""
        return self.call_as("host", operation, **params)

    def call_as(self, who: Who, operation: str, **params: Any) -> Answer:
        """The same as somebody else: the doors are tried, and in the probe what customers may do."""
        client = self._clients[who]
        answer: Answer = _guarded(operation, lambda: getattr(client, operation)(**params))
        return answer

    def read(self, body: Any, size: int) -> bytes:
        """Up to `size` bytes of a streamed answer."""
        read: bytes = _guarded("read", lambda: body.read(size))
        return read

    def presigned(self, operation: str, **params: Any) -> str:
        """A customer's own signed link; a credential, so it is neither kept nor logged."""
        url: str = self._clients["customer"].generate_presigned_url(operation, Params=params, ExpiresIn=PRESIGN_SECONDS)
        return url

    def head(self, url: str) -> tuple[int, Mapping[str, str]]:
        """Status and headers a stranger gets for this very URL, without its body; nothing in it is tidied up."""
        request = AWSRequest(method="HEAD", url=url, headers={"Accept-Encoding": "identity"}).prepare()

        def send() -> tuple[int, Mapping[str, str]]:
            answer = self._plain.send(request)
            if answer.status_code >= 500 or answer.status_code == 429:
                raise Retryable(f"a door answers not now (status {answer.status_code})")
            return answer.status_code, {name.lower(): item for name, item in answer.headers.items()}

        found: tuple[int, Mapping[str, str]] = _guarded("head", send)
        return found

    def public_url(self, key: str) -> str:
        """The key's public URL, or nothing where no public address is set."""
        base = self.settings.public_base_url
        return base + quote(key, safe="/~") if base else ""

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self._plain.close()


def _guarded(operation: str, act: Callable[[], Any]) -> Any:
    """None of the causes is kept: the library's messages repeat the URL."""
    try:
        return act()
    except ClientError as exc:
        raise refusal(operation, exc.response) from None
    except SSLError:
        raise Denied("the server's certificate was not accepted; check its name, its issuer and the clock") from None
    except (HTTPClientError, NoConnectionError, IncompleteReadError) as exc:
        raise Retryable(f"the store cannot be reached or broke off: {type(exc).__name__}") from None
    except BotoCoreError as exc:
        raise AdapterError(f"the store's answer to {operation} cannot be used: {type(exc).__name__}") from None
    except ValueError as exc:
        raise AdapterError(f"{operation} cannot be asked: {type(exc).__name__}") from None


def refusal(operation: str, response: Mapping[str, Any]) -> AdapterError:
    """The contract's error for a server's refusal. Only the code is shown, and only if it looks like one."""
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = str(response.get("Error", {}).get("Code", ""))
    shown = f"status {status}" + (f", {code}" if re.fullmatch(r"[A-Za-z]{3,64}", code) else "")
    if code in _MISSING or status == 404 or (code == "MethodNotAllowed" and operation.endswith("_object")):
        return NotFound(f"the store has no such thing ({operation})")
    if code in _CHANGED or status in {412, 416}:
        return Changed("what stands there is not what was observed")
    if code in _CLOCK:
        return Denied("the store says that the clocks differ; set this machine's clock")
    if code in _BUSY or status in {408, 409, 429} or (status >= 500 and status != 501):
        return Retryable(f"the store says not now ({shown})")
    if status in {401, 403}:
        return Denied(f"the store refuses {operation} ({shown}); check what this account may do")
    if status == 501 or code in {"NotImplemented", "MethodNotAllowed"}:
        return Unsupported(operation)
    return Refused(f"the store refuses {operation} ({shown})")


def _keys(access_file: str, secret_file: str, prefix: str) -> tuple[Secret, Secret]:
    try:
        access = read_secret(access_file, f"{prefix}access_key_file")
        return access, read_secret(secret_file, f"{prefix}secret_key_file")
    except ValueError as exc:
        raise Denied(str(exc)) from exc


@functools.lru_cache(maxsize=1)
def _session() -> Any:
    """One for the process: it holds the descriptions of the operations, and nothing of the environment's accounts."""
    # Its debug lines hold URLs and signatures, whatever level the operator chose for ours.
    for name in ("botocore", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.WARNING)
    session = botocore.session.Session()
    for name in ("config_file", "credentials_file"):
        session.set_config_variable(name, os.devnull)
    return session


def _client(settings: S3Settings, keys: tuple[Secret, Secret] | None) -> Any:
    config = Config(
        signature_version="s3v4" if keys else UNSIGNED,
        s3={"addressing_style": settings.addressing},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"mode": "standard", "total_max_attempts": settings.max_attempts},
        connect_timeout=settings.connect_seconds,
        read_timeout=settings.read_seconds,
        max_pool_connections=16,
        proxies={},
        user_agent="takedown-receiver",
    )
    # Without any names the library would look for an account in the environment and on the network.
    access, secret = (keys[0].reveal(), keys[1].reveal()) if keys else ("nobody", "nobody")
    return _session().create_client(
        "s3",
        region_name=settings.region,
        endpoint_url=settings.endpoint_url,
        verify=settings.ca_file or None,
        config=config,
        aws_access_key_id=access,
        aws_secret_access_key=secret,
    )
