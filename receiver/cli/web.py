"""`web`: the public side alone."""

from __future__ import annotations

import click

from receiver.cli.base import config_path, settings_for
from receiver.cli.privileges import drop_capabilities
from receiver.logs import configure_logs
from receiver.processes.web import run_web


@click.command()
@click.pass_context
def web(ctx: click.Context) -> None:
    """Take notices from issuers. Holds no storage credentials and no vault."""
    config = settings_for(ctx, "web")
    configure_logs("web", config.server.log_level)
    drop_capabilities(bind=config.server.public_bind)
    run_web(config_path(ctx))
