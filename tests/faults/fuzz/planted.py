"""Parsers with a bug on purpose: harnesses that do not find it are worth nothing."""

from __future__ import annotations

import contextlib
import time

from receiver.domain.strict_json import StrictJsonError, load_strict_json
from tests.faults.fuzz.harness import Harness, must


def _foreign_exception(data: bytes) -> None:
    """Lets another family out, deep within."""
    with contextlib.suppress(StrictJsonError):
        value = load_strict_json(data)
        if isinstance(value, list) and len(value) == 5:
            raise KeyError(5)


def _not_canonical(data: bytes) -> None:
    """Takes one letter away where two are to go."""
    form = data.replace(b"//", b"/")
    must(form.replace(b"//", b"/") == form, "canonical is not its own canonical form")


def _hang(data: bytes) -> None:
    if data[:3] == b"zzz":
        begun = time.process_time()
        while time.process_time() - begun < 1.5:
            pass


PLANTED = {
    "planted_exception": Harness(
        name="planted_exception", covers=(), seeds=(b"[1,2]", b"[[1],[2,3]]"), check=_foreign_exception
    ),
    "planted_canonical": Harness(name="planted_canonical", covers=(), seeds=(b"/a//b",), check=_not_canonical),
    "planted_hang": Harness(name="planted_hang", covers=(), seeds=(b"zz", b"yzz"), check=_hang),
}
