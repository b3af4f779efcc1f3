"""`serve`: everything on one host."""

from __future__ import annotations

import click

from receiver.cli.base import done, settings
from receiver.processes.serve import serve as serve_all


@click.command()
@click.pass_context
def serve(ctx: click.Context) -> None:
    """Run web, admin, worker and agent together, supervised. SIGTERM drains, SIGHUP reloads."""
    done(serve_all(settings(ctx)))
