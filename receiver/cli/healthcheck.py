"""`healthcheck`: for containers and service managers."""

from __future__ import annotations

import click

from receiver.cli.base import CommandError, settings
from receiver.cli.local_http import ask, base_url

SECONDS = 5.0


@click.command()
@click.pass_context
def healthcheck(ctx: click.Context) -> None:
    """Ask /readyz where the public side is bound; it answers under any host name. Exit 0 when notices are recorded."""
    server = settings(ctx).server
    base = base_url(server.public_bind, tls=server.tls_cert_file is not None)
    answer = ask(base, "GET", "/readyz", seconds=SECONDS, own_certificate=True)
    if answer.status != 200:
        raise CommandError(f"not ready: /readyz answered {answer.status}; `takedown-receiver check` says what is wrong")
    click.echo("ready")
