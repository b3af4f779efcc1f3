"""Writes docs/checks.md from the questions that `check` asks. A test compares the two."""

from __future__ import annotations

from pathlib import Path

from receiver.cli.checks.known import PARTS

DOCUMENT = Path("docs") / "checks.md"
_HEAD = """\
# What `check` asks

`takedown-receiver check` asks all of these and never stops at the first that is not well. Each line begins with `ok`,
`warn` (it runs, and something is lost by it) or `FAIL`; then the id, what it is about, the answer, what was measured.
Below a `warn` or `FAIL` stands what to do and the setting's place in [settings.md](settings.md). `--json` gives the
same as a list of objects: `id`, `about`, `level`, `words`, `measured` (units stand in the names), `hint`, `see`.

Exit code 0: no `FAIL`. 1: at least one. 3: at least one with C: the settings hold mistakes, or a file that they name is
missing or open to others; what does not depend on them was asked all the same. That an issuer's server is down, or slow
to answer, is a `warn` (B02): it is not yours to mend, and callbacks are tried again. Type it as the user that the
processes run as. It writes and takes away one sample in the database's folder, the vault and each store; it asks
issuers' servers for nothing but a handshake and the time, and shows no secret and no address of content.

An id keeps its meaning for ever. Written by `python -m receiver.cli.checks.document` from the code; a test compares.
"""


def document() -> str:
    """The text of docs/checks.md."""
    parts = [_HEAD]
    for title, known in PARTS:
        rows = [f"| {i} | {k.asks} | {_link(k.setting)} | {k.hint} |" for i, k in known.items()]
        head = [f"## {title}\n", "| id | all is well when | setting | else |", "|---|---|---|---|"]
        parts.append("\n".join([*head, *rows]))
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _link(setting: str) -> str:
    return f"[{setting}](settings.md#{setting.replace('.', '')})" if setting else ""


if __name__ == "__main__":
    (Path.cwd() / DOCUMENT).write_text(document(), encoding="utf-8")
