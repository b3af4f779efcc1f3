"""What anybody may read: who we are, what we take, and the keys our answers and callbacks are checked with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from receiver.domain.notice import UnverifiedRequest
from receiver.domain.policy import IssuerPolicy
from receiver.services.answers import Answer, json_answer, to_json
from receiver.steps.admission import WebPorts
from receiver.steps.read_status import ask
from receiver.steps.signed_answers import AnswerSigner

DISCOVERY_PATH = "/.well-known/takedown-receiver"
DIRECTORY_PATH = "/.well-known/http-message-signatures-directory"
JWKS_PATH = "/.well-known/jwks.json"
DIRECTORY_TYPE = "application/http-message-signatures-directory+json"
KEYS_CACHE = "public, max-age=3600"


class DocumentService:
    def __init__(self, *, web: WebPorts, signer: AnswerSigner, public_jwks: Mapping[str, Any]) -> None:
        self._web = web
        self._signer = signer
        self._public_jwks = public_jwks

    def jwks(self) -> Answer:
        return json_answer(self._public_jwks, headers={"Cache-Control": KEYS_CACHE})

    def directory(self) -> Answer:
        signature = self._signer.sign_directory(self._web.origins[0] + DIRECTORY_PATH)
        headers = {**signature, "Cache-Control": KEYS_CACHE}
        return json_answer(self._public_jwks, content_type=DIRECTORY_TYPE, headers=headers)

    def discovery(self, request: UnverifiedRequest) -> Answer:
        """Who asks with a signature also hears what it may send, signed. Raises RefusedError for a bad signature."""
        if not any(name.lower() in ("signature", "signature-input") for name, _ in request.headers):
            return json_answer(self._describe())
        verified = ask(request, self._web)
        issuer = self._web.policy.issuers.get(verified.issuer) or IssuerPolicy(id=verified.issuer)
        body = to_json({**self._describe(), **_about(issuer)})
        return Answer(status=200, headers=self._signer.sign(verified, 200, body), body=body)

    def _describe(self) -> dict[str, Any]:
        origin, limits, signatures = self._web.origins[0], self._web.limits, self._web.verification_limits
        return {
            "schema": "takedown-receiver/1",
            "versions": ["1"],
            "origins": list(self._web.origins),
            "endpoints": {
                "notices": f"{origin}/v1/notices",
                "status": f"{origin}/v1/notices/{{notice_id}}",
                "directions": f"{origin}/v1/notices/{{notice_id}}/directions",
                "openapi": f"{origin}/v1/openapi.json",
            },
            "limits": {
                "max_items": limits.max_items,
                "max_body_bytes": limits.max_body_bytes,
                "max_depth": limits.max_depth,
                "max_header_bytes": signatures.max_header_bytes,
                "max_signature_header_bytes": signatures.max_signature_header_bytes,
                "max_lifetime_seconds": signatures.max_lifetime_seconds,
                "clock_skew_seconds": signatures.clock_skew_seconds,
                "keep_up_max_hours": limits.keep_up_max_hours,
            },
            "keys": {"directory": origin + DIRECTORY_PATH, "jwks": origin + JWKS_PATH},
        }


def _about(issuer: IssuerPolicy) -> dict[str, Any]:
    return {
        "issuer": issuer.id,
        "categories": {token: does for token, does in sorted(issuer.categories.items()) if does != "refuse"},
        "may_keep_up": issuer.may_keep_up,
        "callback_url": issuer.callback_url,
    }
