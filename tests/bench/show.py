"""The table on the screen and the same in JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Breakdown, Figure, Measured

SCHEMA = "takedown-receiver-bench/1"
ANSWERS = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}


def show(console: Console, measured: Measured, machine: Mapping[str, Any]) -> None:
    for name, value in machine.items():
        console.print(f"{name}: {value}", highlight=False, markup=False)
    console.print(_table(measured.figures))
    for breakdown in measured.breakdowns:
        console.print(f"{breakdown.goal}: {breakdown.title}", highlight=False)
        console.print(_breakdown(breakdown))


def line(figure: Figure) -> str:
    """Said at once, since the whole takes the better part of an hour."""
    ratio = "" if figure.ratio is None else f", ratio {number(figure.ratio)}"
    return f"  {figure.name}: {number(figure.value)} {figure.unit}{ratio}"


def as_json(measured: Measured, machine: Mapping[str, Any], *, quick: bool) -> str:
    value = {
        "schema": SCHEMA,
        "quick": quick,
        "machine": machine,
        "figures": [asdict(figure) for figure in measured.figures],
        "breakdowns": [asdict(breakdown) for breakdown in measured.breakdowns],
    }
    return json.dumps(value, indent=2) + "\n"


def write_json(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _table(figures: Sequence[Figure]) -> Table:
    table = Table(title="Goals")
    for heading, justify in (
        *(("goal", "left"), ("what", "left"), ("measured", "right"), ("wanted", "left")),
        *(("beside it", "left"), ("ratio", "right"), ("reached", "left"), ("notes", "left")),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]  # one of rich's words
    for figure in figures:
        beside = figure.beside
        if figure.beside_value is not None:
            beside = f"{figure.beside}: {number(figure.beside_value)}"
        table.add_row(
            *(figure.goal, figure.name, f"{number(figure.value)} {figure.unit}", figure.wanted, beside),
            *("" if figure.ratio is None else number(figure.ratio), ANSWERS[figure.reached], "; ".join(figure.notes)),
        )
    return table


def _breakdown(breakdown: Breakdown) -> Table:
    table = Table()
    for column in breakdown.columns:
        table.add_column(column)
    for row in breakdown.rows:
        table.add_row(*(number(cell) if isinstance(cell, float) else str(cell) for cell in row))
    return table


def number(value: float) -> str:
    """Three digits that count."""
    if value and abs(value) < 0.001:
        return f"{value:.2e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
