"""age files for tests, sealed and opened by ours."""

from __future__ import annotations

import io
import os
import secrets

import pytest

from receiver.vault import age, stream

SIZES = [0, 1, 65535, 65536, 65537, 131072, 131073, 16 * 65536, 16 * 65536 + 1, 5_000_003]


def need(cond: object, what: str) -> None:
    if not cond:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{what} must be installed in CI")
        pytest.skip(f"{what} is not installed")


def seal(data: bytes, recipients: list[age.Recipient], *, piece: int = 1 << 20) -> tuple[bytes, bytes, bytes]:
    file_key = secrets.token_bytes(16)
    sealed = bytearray()
    writer = stream.PayloadWriter(file_key, sealed.extend)
    for start in range(0, len(data), piece):
        writer.update(data[start : start + piece])
    writer.finish()
    return age.make_header(file_key, recipients), bytes(sealed), file_key


def opened(header: bytes, payload: bytes, identity: age.Identity) -> bytes:
    out = bytearray()
    age.open_file(header, io.BytesIO(payload), identity, out.extend)
    return bytes(out)


def pair() -> tuple[str, age.Identity, age.Recipient]:
    text, recipient = age.new_identity()
    return text, age.parse_identity(text), age.parse_recipient(recipient)
