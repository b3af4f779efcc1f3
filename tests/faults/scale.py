"""How much of the fault tests runs: a sample, or with TORTURE=1 everything. SEED=n runs the same sample again."""

from __future__ import annotations

import os
import secrets
import subprocess
from pathlib import Path

TORTURE = os.environ.get("TORTURE") == "1"


def _seed_of_commit() -> int:
    """Another sample for each commit, and the same for everybody who has it; any at all where git knows nothing."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return int(said[:8], 16) if said else secrets.randbits(32)


SEED = int(os.environ.get("SEED", "0")) or (secrets.randbits(32) if TORTURE else _seed_of_commit())
