from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# --- memory

MEASURE = """
import io, resource, sys
from receiver.vault import age
from receiver.vault.vault import DirectoryVault
recipients = [age.parse_recipient(age.new_identity()[1]) for _ in range(2)]
vault = DirectoryVault(sys.argv[1], recipients)
def seal(name, left):
    def read(size):
        nonlocal left
        size = min(size, left)
        left -= size
        return bytes(size)
    return vault.seal(name, read).size_bytes
seal("warm", 4_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert seal("big", 64 * 1024 * 1024) == 64 * 1024 * 1024
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_size(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "vault")], cwd=root, check=True, capture_output=True, text=True
    )
    assert int(run.stdout) < 4 * 1024
