"""What the agent gives up before it listens."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

libc = ctypes.CDLL(None, use_errno=True)

CAPABILITIES = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_FOWNER": 3,
    "CAP_KILL": 5,
    "CAP_NET_BIND_SERVICE": 10,
    "CAP_LINUX_IMMUTABLE": 9,
    "CAP_LEASE": 28,
}
NEEDED = ("CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_CHOWN", "CAP_LINUX_IMMUTABLE", "CAP_LEASE")
CAPABILITY_VERSION = 0x20080522
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 24, 38, 47, 4
HIGHEST = 63


def keep_only(names: Iterable[str], *, no_new_privileges: bool) -> None:
    """Drop every other capability, for this process and all it starts. Call before any thread is started.

    Raises OSError where the kernel refuses: then the agent must not go on.
    """
    mask = sum(1 << CAPABILITIES[name] for name in set(names))
    for number in range(HIGHEST + 1):
        if not mask >> number & 1:
            # Refused without CAP_SETPCAP and for numbers this kernel lacks; the set below is what counts.
            _prctl(PR_CAPBSET_DROP, number)
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    permitted = _permitted() & mask
    _set(permitted)
    if no_new_privileges and _prctl(PR_SET_NO_NEW_PRIVS, 1) != 0:
        raise _error()


def _prctl(option: int, value: int) -> int:
    zero = ctypes.c_ulong(0)
    return int(libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero))


def _permitted() -> int:
    found = ctypes.create_string_buffer(24)
    if libc.capget(struct.pack("Ii", CAPABILITY_VERSION, 0), found) != 0:
        raise _error()
    _, low, _, _, high, _ = struct.unpack("6I", found.raw)
    return int(low | high << 32)


def _set(mask: int) -> None:
    low, high = mask & 0xFFFFFFFF, mask >> 32
    if libc.capset(struct.pack("Ii", CAPABILITY_VERSION, 0), struct.pack("6I", low, low, 0, high, high, 0)) != 0:
        raise _error()


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
