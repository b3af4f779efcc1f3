"""Bech32 (BIP 173, without its length limit), the text form of age keys."""

from __future__ import annotations

from collections.abc import Iterable

_LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_LETTERS = 6


def encode(prefix: str, data: bytes) -> str:
    """Lower-case text; `prefix` in lower case."""
    values = _regroup(data, 8, 5, pad=True)
    rest = _polymod([*_expand(prefix), *values, *[0] * _CHECKSUM_LETTERS]) ^ 1
    checksum = [(rest >> 5 * (5 - i)) & 31 for i in range(_CHECKSUM_LETTERS)]
    return prefix + "1" + "".join(_LETTERS[v] for v in [*values, *checksum])


def decode(text: str) -> tuple[str, bytes]:
    """Give the prefix in lower case and the bytes. Raises ValueError; the message never repeats the text."""
    if text not in (text.lower(), text.upper()):
        raise ValueError("small and capital letters are mixed")
    prefix, separator, letters = text.lower().rpartition("1")
    if not separator or not prefix or len(letters) < _CHECKSUM_LETTERS:
        raise ValueError("it is too short")
    if not all(33 <= ord(letter) <= 126 for letter in prefix) or not all(letter in _LETTERS for letter in letters):
        raise ValueError("it holds a letter that does not belong there")
    values = [_LETTERS.index(letter) for letter in letters]
    if _polymod([*_expand(prefix), *values]) != 1:
        raise ValueError("its check letters do not fit; was it copied whole?")
    return prefix, bytes(_regroup(values[:-_CHECKSUM_LETTERS], 5, 8, pad=False))


def _expand(prefix: str) -> list[int]:
    return [*(ord(c) >> 5 for c in prefix), 0, *(ord(c) & 31 for c in prefix)]


def _polymod(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, term in enumerate(_GENERATOR):
            if top >> bit & 1:
                check ^= term
    return check


def _regroup(values: Iterable[int], have: int, want: int, *, pad: bool) -> list[int]:
    pool = bits = 0
    out = []
    for value in values:
        pool = pool << have | value
        bits += have
        while bits >= want:
            bits -= want
            out.append(pool >> bits & (1 << want) - 1)
        pool &= (1 << bits) - 1
    if pad and bits:
        out.append(pool << want - bits)
    elif not pad and (bits >= have or pool):
        raise ValueError("its last letters carry stray bits")
    return out
