"""What an adapter's failure may look like: one family, and the wrapper that turns everything else into it.

Part of `adapters.contract`, which is where to import it from. Messages go to logs and pages, so they never hold a URL,
a path or a secret. Standard library only, Python 3.9 and later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

RETRY_AFTER_SECONDS = 2.0


class AdapterError(Exception):
    """Base of the family. On its own it means: the adapter is at fault, and trying again will not help."""

    kind = "broken"


class Retryable(AdapterError):
    """The other side is away or busy; try again after ``after_seconds``."""

    kind = "retryable"

    def __init__(self, message: str, *, after_seconds: float = RETRY_AFTER_SECONDS) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


class Changed(AdapterError):
    """The bytes are not those of the pin any more; observe again."""

    kind = "changed"


class NotFound(AdapterError):
    """Nothing is there under this name."""

    kind = "not_found"


class Denied(AdapterError):
    """It may not be done: outside the customer's scope, not a plain object, or the server refuses us."""

    kind = "denied"


class Unsupported(AdapterError):
    """This store cannot do that at all."""

    kind = "unsupported"

    def __init__(self, capability: str) -> None:
        super().__init__(f"not supported here: {capability}")
        self.capability = capability


class Conflict(AdapterError):
    """Something new stands where we would have to write; it is never overwritten."""

    kind = "conflict"


class Partial(AdapterError):
    """Part was done. ``done`` and ``left`` say what, in words fit for a page."""

    kind = "partial"

    def __init__(self, message: str, *, done: Sequence[str], left: Sequence[str]) -> None:
        super().__init__(message)
        self.done = tuple(done)
        self.left = tuple(left)


ERRORS: Mapping[str, type] = {
    cls.kind: cls for cls in (AdapterError, Retryable, Changed, NotFound, Denied, Unsupported, Conflict, Partial)
}


@contextmanager
def family(doing: str) -> Iterator[None]:
    """Turn whatever a plug-in raises into the family, naming only the exception's type."""
    try:
        yield
    except AdapterError:
        raise
    except (TimeoutError, ConnectionError, InterruptedError) as exc:
        raise Retryable(f"{doing}: {type(exc).__name__}") from exc
    except OSError as exc:
        raise Retryable(f"{doing}: {type(exc).__name__} {exc.errno}", after_seconds=RETRY_AFTER_SECONDS) from exc
    except Exception as exc:
        raise AdapterError(f"{doing}: the adapter failed with {type(exc).__name__}") from exc


def within(what: str, count: int, limit: int) -> None:
    if count > limit:
        raise Denied(f"more than {limit} {what}")


def checked_op_id(op_id: str) -> str:
    if not (1 <= len(op_id) <= 64 and op_id.isascii() and op_id.replace("-", "").isalnum()):
        raise ValueError("op_id must be 1 to 64 letters, digits or hyphens")
    return op_id
