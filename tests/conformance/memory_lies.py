"""The kit's lies as a store in memory would tell them, and a store that can tell each."""

from __future__ import annotations

import errno
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, TypeVar

from adapters.contract import Pin
from adapters.memory.store import MemoryStore, StoredObject

K = TypeVar("K")
Call = Callable[[], Any]
Lie = Callable[[str, Any, Call], Any]
"""What the act is, what it is about, and the act itself. Acts: get, list, set, delete, body."""

READS = frozenset({"get", "list", "body"})
SLOW_SECONDS = 0.02


class LyingTable(MutableMapping[K, Any]):
    """A table of the store; each access goes past the lie."""

    def __init__(self, store: LyingMemoryStore) -> None:
        self._kept: dict[K, Any] = {}
        self._store = store

    def __getitem__(self, key: K) -> Any:
        return self._store.tell("get", (id(self), key), lambda: self._kept[key])

    def __setitem__(self, key: K, value: Any) -> None:
        self._store.tell("set", key, lambda: self._kept.__setitem__(key, value))

    def __delitem__(self, key: K) -> None:
        self._store.tell("delete", key, lambda: self._kept.__delitem__(key))

    def __iter__(self) -> Iterator[K]:
        return iter(self._store.tell("list", id(self), lambda: list(self._kept)))

    def __len__(self) -> int:
        return len(self._kept)


class LyingObject(StoredObject):
    """Its bodies go past the lie as well."""

    store: LyingMemoryStore

    def body(self, pin: Pin) -> bytes | None:
        found: bytes | None = self.store.tell("body", pin, lambda: StoredObject.body(self, pin))
        return found


class LyingMemoryStore(MemoryStore):
    def __init__(self, *, keeps_versions: bool = False) -> None:
        super().__init__(keeps_versions=keeps_versions)
        self.lie: Lie | None = None
        self.names, self.blocks, self.removed = LyingTable(self), LyingTable(self), LyingTable(self)

    def tell(self, act: str, about: Any, do: Call) -> Any:
        return do() if self.lie is None else self.lie(act, about, do)

    @contextmanager
    def lying(self, name: str) -> Iterator[None]:
        self.lie = LIES[name]()
        try:
            yield
        finally:
            self.lie = None

    def fetch_as_public(self, locator: bytes, pin: Pin | None = None) -> bytes | None:
        """The public's eyes are its own."""
        with self.lock:
            lie, self.lie = self.lie, None
            try:
                return super().fetch_as_public(locator, pin)
            finally:
                self.lie = lie

    def write_as_customer(self, locator: bytes, body: bytes) -> None:
        super().write_as_customer(locator, body)
        found: Any = self.names[locator]
        found.__class__, found.store = LyingObject, self


def _not_done(*acts: str) -> Callable[[], Lie]:
    return lambda: lambda act, _about, do: None if act in acts else do()


def _failing(number: int, *acts: str, done: bool = False) -> Callable[[], Lie]:
    def lie(act: str, _about: Any, do: Call) -> Any:
        if act not in acts:
            return do()
        if done:
            do()
        raise OSError(number, os.strerror(number))

    return lambda: lie


def _body(change: Callable[[bytes], bytes]) -> Callable[[], Lie]:
    def lie(act: str, _about: Any, do: Call) -> Any:
        found = do()
        return change(found) if act == "body" and found else found

    return lambda: lie


def _flipped(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]


def _breaking_off() -> Lie:
    asked = itertools.count()

    def lie(act: str, _about: Any, do: Call) -> Any:
        # The first look at a body only finds it; the second gives its first bytes.
        if act == "body" and next(asked) > 1:
            raise ConnectionResetError
        return do()

    return lie


def _old(*acts: str) -> Callable[[], Lie]:
    """Every answer is the first one given."""

    def make() -> Lie:
        kept: dict[Any, Any] = {}

        def lie(act: str, about: Any, do: Call) -> Any:
            if act not in acts:
                return do()
            if (act, about) not in kept:
                try:
                    kept[act, about] = do()
                except KeyError:
                    kept[act, about] = None
            if kept[act, about] is None:
                raise KeyError(about)
            return kept[act, about]

        return lie

    return make


def _empty(act: str, _about: Any, do: Call) -> Any:
    return [] if act == "list" else do()


def _missing(act: str, about: Any, do: Call) -> Any:
    if act == "get":
        raise KeyError(about)
    return do()


def _every_other(*, done: bool) -> Callable[[], Lie]:
    def make() -> Lie:
        turn = itertools.count()

        def lie(_act: str, _about: Any, do: Call) -> Any:
            if next(turn) % 2:
                if done:
                    do()
                raise ConnectionResetError
            return do()

        return lie

    return make


def _slow(_act: str, _about: Any, do: Call) -> Any:
    time.sleep(SLOW_SECONDS)
    return do()


def _once_then_nothing() -> Lie:
    """The first change is done, all others are only said to be."""
    turn = itertools.count()

    def lie(act: str, _about: Any, do: Call) -> Any:
        return do() if act in READS or next(turn) == 0 else None

    return lie


LIES: Mapping[str, Callable[[], Lie]] = {
    "writes are not done": _not_done("set"),
    "deletes are not done": _not_done("delete"),
    "nothing is done": _not_done("set", "delete"),
    "only the first change is done": _once_then_nothing,
    "writes are done and said to have failed": _failing(errno.EIO, "set", done=True),
    "deletes are done and said to have failed": _failing(errno.EIO, "delete", done=True),
    "writes find no room": _failing(errno.ENOSPC, "set"),
    "deletes are refused": _failing(errno.EROFS, "delete"),
    "reads fail": _failing(errno.EIO, "body"),
    "looks fail": _failing(errno.ESTALE, "get"),
    "listings fail": _failing(errno.EIO, "list"),
    "bodies are cut short": _body(lambda body: body[:-1]),
    "bodies are empty": _body(lambda _body: b""),
    "bodies have a flipped bit": _body(_flipped),
    "bodies have bytes too many": _body(lambda body: body + b"!"),
    "bodies break off": _breaking_off,
    "bodies are old": _body(lambda body: bytes(reversed(body))),
    "bodies are an error page": _body(lambda _body: b"<h1>later</h1>"),
    "listings are empty": lambda: _empty,
    "listings are old": _old("list"),
    "looks are old": _old("get"),
    "looks find nothing": lambda: _missing,
    "every other answer is lost": _every_other(done=True),
    "every other request is lost": _every_other(done=False),
    "busy": _failing(errno.EAGAIN, *READS, "set", "delete"),
    "slow": lambda: _slow,
}
