"""What people's agreement is bound to."""

from __future__ import annotations

import hashlib


def request_digest(kind: str, subject: str) -> str:
    """What an approval binds: the exact request, so that it cannot be used for another one."""
    return hashlib.sha256(f"{kind}:{subject}".encode()).hexdigest()
