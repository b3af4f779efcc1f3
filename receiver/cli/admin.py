"""`admin`: the staff side alone."""

from __future__ import annotations

import click

from receiver.cli.base import config_path, settings_for
from receiver.cli.privileges import drop_capabilities
from receiver.logs import configure_logs
from receiver.processes.admin import run_admin


@click.command()
@click.pass_context
def admin(ctx: click.Context) -> None:
    """Serve the admin pages, the admin API and metrics to staff."""
    config = settings_for(ctx, "admin")
    configure_logs("admin", config.server.log_level)
    drop_capabilities(bind=config.server.admin_bind)
    run_admin(config_path(ctx))
