"""The documents as data: their fenced blocks, and the commands a reader would type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
PAGES = tuple(sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "adapters").rglob("*.md")]))
TYPED = ("sh", "console")
_HERE_DOCUMENT = re.compile(r"<<-?\s*['\"]?(?P<end>\w+)['\"]?")


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block; `language` is empty where none is named."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def is_typed(self) -> bool:
        return self.language in TYPED

    def commands(self) -> tuple[str, ...]:
        """What is typed, one command each: lines that go on are joined, remarks and here-documents left out."""
        found = []
        lines = iter(self.text.replace("\\\n", " ").splitlines())
        for line in lines:
            words = re.sub(r"(^|\s)#( .*)?$", "", line).strip()
            if not words:
                continue
            found.append(re.sub(r"\s+", " ", words))
            if begun := _HERE_DOCUMENT.search(words):
                next(line for line in lines if line.strip() == begun["end"])
        return tuple(found)


def blocks(page: Path) -> Iterator[Block]:
    """In order. A fence that is never closed is an error of the page."""
    begun: tuple[int, str, list[str]] | None = None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        fence = line.strip()
        if begun is None and fence.startswith("```"):
            begun = (number, fence[3:].strip(), [])
        elif begun is not None and fence == "```":
            text = dedent("\n".join(begun[2]) + "\n")
            yield Block(page=page, line=begun[0], language=begun[1], text=text)
            begun = None
        elif begun is not None:
            begun[2].append(line)
    if begun is not None:
        raise ValueError(f"{page.relative_to(ROOT)}:{begun[0]}: this block does not end")
