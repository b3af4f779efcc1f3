"""Our signature on what we answer, so that an issuer holds proof of what we took, and on our list of keys."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from receiver.domain.clock import Clock
from receiver.domain.notice import VerifiedRequest
from receiver.verification.jwk import load_jwks
from receiver.verification.mechanics import Lines, RequestMessage, ResponseMessage, SignatureParams, sign
from receiver.verification.signing import SigningKey, sign_response

JSON = "application/json"
DIRECTORY_TAG = "http-message-signatures-directory"
DIRECTORY_LIFETIME_SECONDS = 3600


def read_public_jwks(data: bytes) -> Mapping[str, Any]:
    """Our published key set as it stands in its file. Raises KeyRefusedError, above all for private members."""
    load_jwks("receiver", data)
    document: Mapping[str, Any] = json.loads(data)
    return document


@dataclass(frozen=True, kw_only=True)
class AnswerSigner:
    """Holds the response key: the only private key the web side has."""

    key: SigningKey = field(repr=False)
    clock: Clock

    def sign(self, verified: VerifiedRequest, status: int, body: bytes) -> Mapping[str, str]:
        """All headers of a receipt or a status answer (RFC 9421 section 2.4)."""
        return sign_response(
            status=status, content_type=JSON, body=body, verified=verified, key=self.key, now=self.clock.now()
        )

    def sign_directory(self, url: str) -> Mapping[str, str]:
        """Headers for our key directory at `url` (draft-meunier-webbotauth-httpsig-directory-00).

        It asks every listed key to sign; the callback key is the worker's alone, so only the response key does.
        """
        now = self.clock.now()
        request = RequestMessage(method="GET", url=url, headers=Lines(()))
        message = ResponseMessage(status_code=200, headers=Lines(()), request=request)
        params = SignatureParams(
            tag=DIRECTORY_TAG,
            label="directory",
            created_at=now,
            expires_at=now + dt.timedelta(seconds=DIRECTORY_LIFETIME_SECONDS),
        )
        return sign(
            message,
            key_id=self.key.key_id,
            algorithm=self.key.algorithm,
            private_key=self.key.private_key,
            covered=('"@authority";req',),
            params=params,
        )
