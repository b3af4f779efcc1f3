"""`agent`: the privileged part alone."""

from __future__ import annotations

import click

from receiver.cli.base import done, settings
from receiver.logs import configure_logs
from receiver.processes.agent import run_agent


@click.command()
@click.pass_context
def agent(ctx: click.Context) -> None:
    """Touch this machine's files for the worker: the only process with capabilities."""
    config = settings(ctx)
    configure_logs("agent", config.server.log_level)
    done(run_agent(config.agent.settings_file))
