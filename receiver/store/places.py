"""Whether a folder lies on a disk of this machine."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from receiver.store.errors import UnsafePlaceError

_NETWORK = {
    0x6969: "NFS",
    0x517B: "SMB",
    0xFF534D42: "CIFS",
    0xFE534D42: "SMB2",
    0x5346414F: "AFS",
    0x73757245: "Coda",
    0x00C36400: "Ceph",
    0x0BD00BD0: "Lustre",
    0x7461636F: "OCFS2",
    0x01161970: "GFS2",
    0x19830326: "BeeGFS",
    0x47504653: "GPFS",
}
"""Magic numbers of statfs(2). FUSE and 9p are not among them: containers put local disks behind both."""
_STATFS_BYTES = 512


def filesystem_magic(folder: Path) -> int:
    """`f_type` of statfs(2), which Python does not tell. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    room = ctypes.create_string_buffer(_STATFS_BYTES)
    if libc.statfs(os.fsencode(folder), room) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return ctypes.c_long.from_buffer(room).value & 0xFFFFFFFF


def refuse_network_filesystem(folder: Path) -> None:
    """Raises UnsafePlaceError where another machine keeps the files: locks and fsync are not what they say there."""
    try:
        kind = _NETWORK.get(filesystem_magic(folder))
    except OSError as error:
        raise UnsafePlaceError(f"cannot use the folder of the database: {error.strerror}; create it first") from error
    if kind:
        raise UnsafePlaceError(f"the database file lies on {kind}; put it on a disk of this machine, or use PostgreSQL")
