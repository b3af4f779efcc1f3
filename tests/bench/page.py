"""The figures of docs/benchmarks.md, written from what a run measured: `python -m tests.bench.page FILE …`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.show import number

DOCS = Path(__file__).parents[2] / "docs"
PAGE, KEPT = DOCS / "benchmarks.md", DOCS / "benchmarks.json"
BEGIN, END = "<!-- figures: made by `python -m tests.bench.page`, from docs/benchmarks.json -->\n", "<!-- end -->\n"
REACHED = {True: "yes", False: "**no**", None: ""}


def joined(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Several runs as one; each part's machine is the first that measured it. Raises ValueError for a quick run."""
    if any(run["quick"] for run in runs):
        raise ValueError("a quick run's figures mean nothing")
    machines = [{"goals": sorted({figure["goal"] for figure in run["figures"]}), **run["machine"]} for run in runs]
    return {
        "machines": machines,
        "figures": [figure for run in runs for figure in run["figures"]],
        "breakdowns": [table for run in runs for table in run["breakdowns"]],
    }


def figures(kept: Mapping[str, Any]) -> str:
    """Markdown between the marks: the machine, the goals, and where the time went."""
    lines = [*(_machine(machine) for machine in kept["machines"]), ""]
    lines += _table(("goal", "what", "measured", "wanted", "beside it", "ratio", "reached"), map(_row, kept["figures"]))
    for table in kept["breakdowns"]:
        lines += ["", f"{table['goal']}, {table['title']}:", "", *_table(table["columns"], map(_cells, table["rows"]))]
    return "\n".join(lines) + "\n"


def with_figures(page: str, kept: Mapping[str, Any]) -> str:
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError("docs/benchmarks.md has lost the marks between which the figures stand")
    return f"{before}{BEGIN}\n{figures(kept)}\n{END}{after}"


def _machine(machine: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return (
        f"- {', '.join(machine['goals'])}: {machine['cores']} cores ({machine['cpu']}), {machine['memory_mb']:,} MiB, "
        f"Linux {machine['kernel']}, {machine['fsyncs_per_second']:,} fsync/s before and "
        f"{machine['fsyncs_per_second_after']:,} after, load {machine['load_before']} before; Python "
        f"{machine['python']}, SQLite {machine['sqlite']}, {packages}."
    )


def _row(figure: Mapping[str, Any]) -> tuple[str, ...]:
    beside = figure["beside"]
    if figure["beside_value"] is not None:
        beside = f"{beside}: {number(figure['beside_value'])}"
    ratio = "" if figure["ratio"] is None else number(figure["ratio"])
    measured = f"{number(figure['value'])} {figure['unit']}"
    return figure["goal"], figure["name"], measured, figure["wanted"], beside, ratio, REACHED[figure["reached"]]


def _cells(row: Sequence[Any]) -> tuple[str, ...]:
    return tuple(number(cell) if isinstance(cell, float) else str(cell) for cell in row)


def _table(heading: Sequence[str], rows: Any) -> list[str]:
    return [_line(heading), _line(["---"] * len(heading)), *(_line(row) for row in rows)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main(files: Sequence[Path]) -> None:
    kept = joined([json.loads(file.read_text(encoding="utf-8")) for file in files])
    page = with_figures(PAGE.read_text(encoding="utf-8"), kept)
    KEPT.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main([Path(word) for word in sys.argv[1:]])
