"""What tests of looks begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from receiver.domain.web import Look, LookTarget
from receiver.net.sockets import BudgetSocket
from receiver.outside import ask
from tests.doubles.web_servers import Server, answer, saying

GONE = saying(answer(404, b"not here"))


@contextmanager
def connecting(connect: Callable[..., BudgetSocket]) -> Iterator[None]:
    """The network line: looks reach out by this instead of by the real `connect`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ask, "connect", connect)
        yield


def target(*servers: Server | str, url: str = "http://img.example/a.jpg", **more: Any) -> LookTarget:
    at = tuple(s if isinstance(s, str) else s.at for s in servers)
    scheme = url.partition(":")[0].lower()
    return LookTarget(url=url, scheme=scheme, host="img.example", port=80, look_at=at, **more)


def notes(looks: tuple[Look, ...]) -> list[str]:
    return [look.note for look in looks]
