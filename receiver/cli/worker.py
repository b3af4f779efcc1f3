"""`worker`: the one that acts."""

from __future__ import annotations

import click

from receiver.cli.base import config_path, done, settings_for
from receiver.cli.privileges import drop_capabilities
from receiver.logs import configure_logs
from receiver.processes.worker import run_worker


@click.command()
@click.option("--slot", default="worker-0", show_default=True, help="Its name among the workers of this machine.")
@click.pass_context
def worker(ctx: click.Context, slot: str) -> None:
    """Do the work: block, seal, purge, look, call back. Several may run."""
    configure_logs("worker", settings_for(ctx, "worker").server.log_level)
    drop_capabilities()
    done(run_worker(config_path(ctx), slot=slot))
