"""Where a privilege or the immutable flag is missing, it is said and not promised."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

from tests.doubles.kernel_calls import KernelCalls
from tests.unit.adapters.docroot import Docroot


def test_probe_says_what_is_lost(site: Docroot, tmp_path: Path) -> None:
    assert site.adapter.probe().lost == ()
    script = (
        "import sys; from adapters.agent.privileges import keep_only; keep_only((), no_new_privileges=True);"
        "from adapters.filesystem.adapter import FilesystemAdapter;"
        "found = FilesystemAdapter('www', sys.argv[1], sys.argv[2]).probe();"
        "print(*found.can); print(*found.lost, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, site.root, site.held], capture_output=True, text=True, check=True
    )
    can, *lost = done.stdout.splitlines()
    assert "freeze" not in can
    for word in ("CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_CHOWN", "CAP_LINUX_IMMUTABLE", "CAP_LEASE"):
        assert any(word in line for line in lost)


def test_no_flag_means_no_promise(site: Docroot, kernel: KernelCalls) -> None:
    def refuse(fd: int, flags: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "not here")

    kernel.replace(set_flags=refuse)
    site.again()
    ref = site.put()
    receipt = site.block(ref)
    frozen = site.adapter.freeze(ref, receipt)
    assert not frozen.promised
    assert frozen.residual
    assert receipt.residual
    assert "freeze" not in site.adapter.probe().can
    site.adapter.unblock(ref, receipt)
    assert site.path("a.jpg").read_bytes() == b"a colour field"


def test_memory_disk_works_alike() -> None:
    base = Path("/dev/shm") / f"takedown-m-{os.getpid()}"
    base.mkdir()
    site = Docroot(base)
    try:
        ref = site.put()
        receipt = site.block(ref)
        frozen = site.adapter.freeze(ref, receipt)
        assert frozen.promised == ("freeze" in site.adapter.probe().can)
        site.adapter.unblock(ref, receipt)
        assert site.path("a.jpg").read_bytes() == b"a colour field"
    finally:
        site.clear()
        base.rmdir()
