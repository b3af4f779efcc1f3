"""Run it: `python -m tests.bench [GOAL …]`."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click
from rich.console import Console

from receiver.demo.clearing import thaw
from tests.bench import (
    ledger_size,
    machine,
    notice_rate,
    seal_speed,
    show,
    takeover,
    time_to_disabled,
    whole_chain,
    with_growth,
)
from tests.bench.figures import BenchError, Measured, Options

GOALS: Mapping[str, Callable[[Options], Measured]] = {
    "P1": time_to_disabled.measure,
    "P2": whole_chain.measure,
    "P3": notice_rate.measure,
    "P4": seal_speed.measure,
    "P5": with_growth.measure,
    "P8": ledger_size.measure,
    "takeover": takeover.measure,
}
FSYNC_SECONDS = 2.0
PIPED_WIDTH = 180
DATA = Path(__file__).parents[2] / "test-data" / "bench"


@click.command()
@click.argument("goals", nargs=-1, type=click.Choice(list(GOALS), case_sensitive=False))
@click.option("--quick", is_flag=True, help="Seconds each: shows that the bench works; its figures mean nothing.")
@click.option("--peers", is_flag=True, help="Run Matrix Synapse, from its package, beside P2.")
@click.option("--large", is_flag=True, help="Seal 8 GiB too.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), default=DATA / "bench.json")
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    default=DATA / "cache",
    help="Keeps the large database and the peer's packages, which take minutes to make.",
)
def main(goals: tuple[str, ...], *, quick: bool, peers: bool, large: bool, json_file: Path, cache: Path) -> None:
    """Measure the GOALS, all of them without a name."""
    # A table needs room, also where it is piped into a file.
    console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
    DATA.mkdir(mode=0o700, parents=True, exist_ok=True)
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    measured, failed = Measured(), []
    with _folder() as folder:
        options = Options(quick=quick, peers=peers, large=large, folder=folder, cache=cache.absolute())
        about = machine.facts(folder, fsync_seconds=0.3 if quick else FSYNC_SECONDS)
        for name in goals or GOALS:
            console.print(f"{name} …", highlight=False)
            try:
                found = GOALS[name](options)
            except BenchError as error:
                failed.append(f"{name}: {error}")
                continue
            for figure in found.figures:
                console.print(show.line(figure), highlight=False, markup=False)
            measured.figures += found.figures
            measured.breakdowns += found.breakdowns
        about["fsyncs_per_second_after"] = round(machine.fsyncs_per_second(folder, 0.3 if quick else FSYNC_SECONDS))
    show.show(console, measured, about)
    show.write_json(json_file, show.as_json(measured, about, quick=quick))
    console.print(f"written to {json_file}", highlight=False)
    for line in failed:
        console.print(f"not measured: {line}", style="red", highlight=False, markup=False)
    sys.exit(1 if failed else 0)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A fresh folder on the same disk, gone afterwards with the frozen files in it."""
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=DATA))
    try:
        yield folder
    finally:
        thaw(folder)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(prog_name="make bench")
