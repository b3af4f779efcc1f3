"""Every published vector gets the answer it must get."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from receiver.domain.notice import VerifiedNotice, VerifiedRequest
from receiver.intake.errors import IntakeError
from receiver.verification.errors import BindingError, VerificationError
from receiver.verification.keys import KeyRing
from tests.vectors.generate import HERE, rendered
from tests.vectors.run import load, ring, run

VALID = sorted((HERE / "requests/valid").glob("*.json"))
INVALID = sorted((HERE / "requests/invalid").glob("*.json"))


@pytest.fixture(scope="module")
def register() -> KeyRing:
    return ring()


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_good_request_is_taken(path: Path, register: KeyRing) -> None:
    assert isinstance(run(load(path), register), VerifiedNotice | VerifiedRequest)


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_hostile_request_is_refused(path: Path, register: KeyRing) -> None:
    vector = load(path)
    with pytest.raises((VerificationError, IntakeError, BindingError)) as caught:
        run(vector, register)
    error = caught.value
    assert isinstance(error, (VerificationError, IntakeError, BindingError))
    reason = error.reason if isinstance(error, VerificationError) else error.type
    assert {"status": error.status, "reason": reason} == vector["expect"]


def test_making_vectors_again_changes_nothing() -> None:
    on_disk = {
        path.relative_to(HERE): path.read_text(encoding="utf-8")
        for folder in ("keys", "requests")
        for path in (HERE / folder).rglob("*.json")
    }
    assert on_disk == rendered()


def test_vectors_are_many_and_named() -> None:
    assert len(VALID) >= 40
    assert len(INVALID) >= 300
    assert all(re.fullmatch(r"[a-z0-9-]+", path.stem) for path in [*VALID, *INVALID])


def test_every_refusal_has_a_vector() -> None:
    statuses = Counter(load(path)["expect"]["status"] for path in INVALID)
    assert set(statuses) == {400, 401, 413, 415, 421, 422, 431}


def test_all_signature_failures_look_alike() -> None:
    faces = set()
    for reason in {load(path)["expect"]["reason"] for path in INVALID if load(path)["expect"]["status"] == 401}:
        error = VerificationError(reason)
        faces.add((error.status, error.type, error.title))
    assert len(faces) == 1
