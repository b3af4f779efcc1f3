"""Every damaged byte and every cut is found; pieces and short reads change nothing."""

from __future__ import annotations

import io
import secrets

import pytest

from receiver.vault import age, stream
from receiver.vault.errors import AgeError, AgeHeaderError, AgePayloadError
from tests.unit.vault.age_files import opened, pair, seal


def test_every_damaged_header_byte_is_found() -> None:
    _, identity, recipient = pair()
    header, payload, _ = seal(b"colour field", [recipient])
    for at in range(len(header)):
        damaged = header[:at] + bytes([header[at] ^ 1]) + header[at + 1 :]
        with pytest.raises(AgeError):
            opened(damaged, payload, identity)


def test_every_damaged_payload_byte_is_found() -> None:
    _, identity, recipient = pair()
    header, payload, _ = seal(b"colour field", [recipient])
    for at in range(len(payload)):
        damaged = payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :]
        with pytest.raises(AgePayloadError):
            opened(header, damaged, identity)


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 131072])
def test_every_kind_of_cut_is_found(size: int) -> None:
    _, identity, recipient = pair()
    header, payload, _ = seal(secrets.token_bytes(size), [recipient])
    chunk = stream.SEALED_CHUNK_BYTES
    cuts = {0, 1, 15, 16, 17, 16 + chunk - 1, 16 + chunk, 16 + chunk + 1, len(payload) - 1}
    for cut in sorted(at for at in cuts if at < len(payload)):
        with pytest.raises(AgePayloadError):
            opened(header, payload[:cut], identity)
    for extra in (b"\0", bytes(chunk), payload[16:]):
        with pytest.raises(AgePayloadError):
            opened(header, payload + extra, identity)


def test_swapped_chunks_are_found() -> None:
    _, identity, recipient = pair()
    header, payload, _ = seal(secrets.token_bytes(3 * 65536), [recipient])
    chunk = stream.SEALED_CHUNK_BYTES
    swapped = payload[:16] + payload[16 + chunk : 16 + 2 * chunk] + payload[16 : 16 + chunk] + payload[16 + 2 * chunk :]
    with pytest.raises(AgePayloadError):
        opened(header, swapped, identity)


def test_another_headers_file_key_opens_nothing() -> None:
    _, identity, recipient = pair()
    header, _, _ = seal(b"one", [recipient])
    _, payload, _ = seal(b"two", [recipient])
    with pytest.raises(AgePayloadError):
        opened(header, payload, identity)


@pytest.mark.parametrize("piece", [1, 7, 65535, 65536, 65537, 100_000, 3 << 20])
def test_piece_size_changes_nothing(piece: int) -> None:
    data = secrets.token_bytes(700 if piece < 8 else 400_000)
    _, identity, recipient = pair()
    header, payload, _ = seal(data, [recipient], piece=piece)
    assert opened(header, payload, identity) == data


def test_short_reads_open_whole() -> None:
    _, _, recipient = pair()
    data = secrets.token_bytes(2_000_000)
    _, payload, file_key = seal(data, [recipient])
    source, out = io.BytesIO(payload), bytearray()
    assert stream.open_payload(file_key, lambda size: source.read(min(size, 99_991)), out.extend) == len(data)
    assert out == data


def test_endless_header_is_given_up() -> None:
    with pytest.raises(AgeHeaderError):
        age.read_header(io.BytesIO(b"x" * 200_000))
