"""Makes the vectors: `python -m tests.vectors.generate`. Making them again changes nothing.

Each file is one request, named by its one defect, with the answer it must get. The keys are TEST keys made from a
public seed (`keys.py`); never register them on a real receiver.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.vectors import cases_body, cases_form, cases_signature, cases_valid
from tests.vectors.base import Case
from tests.vectors.keys import key_set_a, key_set_b
from tests.vectors.signer import ORIGIN

HERE = Path(__file__).parent
ORIGINS = [ORIGIN, "https://second.host.example:8443"]
NOW = "2026-11-22T09:30:00Z"


def all_cases() -> list[Case]:
    return [*cases_valid.cases(), *cases_form.cases(), *cases_signature.cases(), *cases_body.cases()]


def documents() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every file with its content."""
    yield Path("keys/hotline-a.jwks.json"), key_set_a()
    yield Path("keys/hotline-b.jwks.json"), key_set_b()
    for case in all_cases():
        folder = "valid" if case.status == 202 else "invalid"
        expect: dict[str, Any] = {"status": case.status}
        if case.reason:
            expect["reason"] = case.reason
        yield (
            Path("requests") / folder / f"{case.name}.json",
            {"now": NOW, "origins": ORIGINS, "request": case.request, "expect": expect},
        )


def rendered() -> dict[Path, str]:
    made: dict[Path, str] = {}
    for path, document in documents():
        if path in made:
            raise ValueError(f"two vectors are called {path}")
        made[path] = json.dumps(document, indent=1, ensure_ascii=True) + "\n"
    return made


def main() -> None:
    for folder in ("keys", "requests"):
        shutil.rmtree(HERE / folder, ignore_errors=True)
    for path, text in rendered().items():
        (HERE / path).parent.mkdir(parents=True, exist_ok=True)
        (HERE / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
