"""Progress bars for long work, where a person looks; quiet elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from receiver.cli.base import console


@contextmanager
def bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Gives `tell(done, of)`. Drawn on standard error, so that output can be piped."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as drawn:
        task = drawn.add_task(title, total=None)
        yield lambda done, of: drawn.update(task, completed=done, total=of)
