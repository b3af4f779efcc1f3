"""The header lines of a message, and the signature in them (RFC 9421 section 4), parsed but not believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import http_sf

from receiver.verification.errors import VerificationError

Lines = Sequence[tuple[str, str]]
SIGNATURE_HEADERS = ("signature-input", "signature")


def values_of(lines: Lines, name: str) -> list[str]:
    """Every value of one header, in order, without surrounding blanks."""
    return [value.strip(" \t") for header, value in lines if header.lower() == name]


def single(lines: Lines, name: str) -> str | None:
    """The value of a header that may stand once. Raises VerificationError 400 where it is repeated."""
    values = values_of(lines, name)
    if len(values) > 1:
        raise VerificationError("repeated-header", 400)
    return values[0] if values else None


def joined(lines: Lines, name: str) -> str | None:
    """All lines of a list header as one value (RFC 9110 section 5.3), or None."""
    values = values_of(lines, name)
    return ", ".join(values) if values else None


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One signature as the message claims it."""

    label: str
    components: tuple[tuple[Any, Mapping[str, Any]], ...]
    params: Mapping[str, Any]
    params_text: str
    """The signature parameters as they are signed, without label."""
    signature: bytes

    def as_headers(self) -> list[tuple[str, str]]:
        """This signature alone, as a message would carry it."""
        return [
            ("Signature-Input", f"{self.label}={self.params_text}"),
            ("Signature", http_sf.ser({self.label: (self.signature, {})})),
        ]

    @property
    def names(self) -> tuple[Any, ...]:
        return tuple(value for value, _ in self.components)


def only_signature(chosen: Candidate, lines: Lines) -> list[tuple[str, str]]:
    """The header lines with this one signature instead of all."""
    others = [(name, value) for name, value in lines if name.lower() not in SIGNATURE_HEADERS]
    return [*others, *chosen.as_headers()]


def parse_signatures(lines: Lines, *, max_signatures: int) -> list[Candidate]:
    """Every labelled signature. Raises VerificationError 401 where the two headers do not make sense together."""
    inputs_text, signatures_text = joined(lines, "signature-input"), joined(lines, "signature")
    if inputs_text is None or signatures_text is None:
        raise VerificationError("no-signature")
    inputs, signatures = _dictionary(inputs_text), _dictionary(signatures_text)
    if len(inputs) > max_signatures or len(signatures) > max_signatures:
        raise VerificationError("too-many-signatures")
    if inputs.keys() != signatures.keys():
        raise VerificationError("labels-differ")
    return [_candidate(label, inputs[label], signatures[label]) for label in inputs]


def _candidate(label: str, given: Any, signature: Any) -> Candidate:
    components, params = given
    if not isinstance(components, list) or not isinstance(signature[0], bytes):
        raise VerificationError("malformed-signature")
    return Candidate(
        label=label,
        components=tuple((value, item_params) for value, item_params in components),
        params=params,
        params_text=http_sf.ser([(components, params)]),
        signature=signature[0],
    )


def _dictionary(text: str) -> dict[str, Any]:
    def refuse_twin(_key: str, _context: str) -> None:
        raise VerificationError("duplicate-key")

    try:
        parsed = http_sf.parse(text.encode("ascii"), tltype="dictionary", on_duplicate_key=refuse_twin)
    except (ValueError, TypeError) as error:
        raise VerificationError("malformed-signature") from error
    if not isinstance(parsed, dict):
        raise VerificationError("malformed-signature")
    return parsed
