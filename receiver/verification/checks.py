"""Steps 6 to 9 of the checklist: judgements on one claimed signature that need no key."""

from __future__ import annotations

import datetime as dt

from receiver.domain.notice import UnverifiedRequest
from receiver.verification.errors import VerificationError
from receiver.verification.fields import SIGNATURE_HEADERS, Candidate, single
from receiver.verification.wellformed import VerificationLimits

_REQUIRED_PARAMS = frozenset({"created", "expires", "keyid", "nonce", "tag"})
_TEXT_PARAMS = ("keyid", "nonce", "tag", "alg")
_DERIVED = frozenset({"@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query"})


def choose_signature(candidates: list[Candidate], tag: str) -> Candidate:
    """The one signature with our tag. Raises VerificationError 401."""
    ours = [candidate for candidate in candidates if candidate.params.get("tag") == tag]
    if len(ours) != 1:
        raise VerificationError("no-signature-with-tag" if not ours else "two-signatures-with-tag")
    return ours[0]


def check_coverage(chosen: Candidate, request: UnverifiedRequest, limits: VerificationLimits) -> None:
    """Everything that must not be changed is covered, and nothing ambiguous. Raises VerificationError 401."""
    names = chosen.names
    if len(names) > limits.max_components:
        raise VerificationError("too-many-components")
    if any(params for _, params in chosen.components):
        raise VerificationError("component-parameter")
    if not all(isinstance(name, str) for name in names):
        raise VerificationError("malformed-component")
    if len(set(names)) != len(names):
        raise VerificationError("component-twice")
    if any(name.startswith("@") and name not in _DERIVED for name in names):
        raise VerificationError("unknown-component")
    if set(names) & set(SIGNATURE_HEADERS):
        # A signature over another signature is a proxy's business; ours is taken out alone to be verified.
        raise VerificationError("signature-covered")
    required = {"@method"}
    if request.body:
        required |= {"content-type", "content-digest"}
    if single(request.headers, "idempotency-key") is not None:
        required.add("idempotency-key")
    if "@target-uri" not in names:
        required |= {"@authority", "@path"}
        if "?" in request.target:
            required.add("@query")
    if not required <= set(names):
        raise VerificationError("not-covered")


def check_params(chosen: Candidate, limits: VerificationLimits) -> None:
    """Exactly the parameters the protocol names, of the right types. Raises VerificationError 401."""
    params = chosen.params
    if not set(params) >= _REQUIRED_PARAMS:
        raise VerificationError("parameter-missing")
    if not set(params) <= _REQUIRED_PARAMS | {"alg"}:
        raise VerificationError("parameter-unknown")
    if any(type(params[name]) is not int for name in ("created", "expires")):
        raise VerificationError("parameter-type")
    if any(type(params[name]) is not str for name in _TEXT_PARAMS if name in params):
        raise VerificationError("parameter-type")
    if not limits.min_nonce_characters <= len(params["nonce"]) <= limits.max_nonce_characters:
        raise VerificationError("nonce-length")


def check_times(chosen: Candidate, signed_at: dt.datetime, limits: VerificationLimits) -> None:
    """Made just now, give or take the skew, and for a short while. Raises VerificationError 401."""
    created, expires = chosen.params["created"], chosen.params["expires"]
    now, skew = signed_at.timestamp(), limits.clock_skew_seconds
    if not 0 < expires - created <= limits.max_lifetime_seconds:
        raise VerificationError("lifetime")
    if created > now + skew:
        raise VerificationError("from-the-future")
    if now > expires + skew:
        raise VerificationError("expired")
