"""`pause` and `resume`: stop acting while going on to accept notices."""

from __future__ import annotations

import click

from receiver.cli.base import CommandError, json_option, print_json, print_table, settings
from receiver.cli.opened import opened, who_typed, write
from receiver.config import Config
from receiver.domain.clock import rfc3339
from receiver.domain.pauses import end_pause, set_pause

_adapter = click.option("--adapter", help="Only acts on this store.")
_issuer = click.option("--issuer", help="Only notices of this issuer.")


def _scope(config: Config, adapter: str | None, issuer: str | None) -> str:
    if adapter is not None and issuer is not None:
        raise click.UsageError("name an adapter or an issuer, not both")
    if adapter is not None:
        if adapter not in config.adapters:
            raise CommandError(f"no store is called {adapter}; known: {', '.join(config.adapters) or 'none yet'}")
        return f"adapter:{adapter}"
    if issuer is not None:
        if config.issuer(issuer) is None:
            raise CommandError(f"no issuer is called {issuer}; `takedown-receiver issuer list` shows them")
        return f"issuer:{issuer}"
    return "all"


@click.command()
@_adapter
@_issuer
@click.option("--list", "only_list", is_flag=True, help="Only show what is paused.")
@json_option
@click.pass_context
def pause(ctx: click.Context, adapter: str | None, issuer: str | None, only_list: bool, as_json: bool) -> None:
    """Accept notices and answer them, but do not act; people are paged meanwhile."""
    config = settings(ctx)
    with opened(config) as store:
        if not only_list:
            scope, actor = _scope(config, adapter, issuer), who_typed()
            write(store, set_pause(scope, actor, now=store.now()), conflict=_already(scope))
        found = store.pauses()
    if as_json:
        print_json([{"scope": row.scope, "by": row.actor, "since": rfc3339(row.since_at)} for row in found])
    else:
        print_table("Paused", ("what", "by", "since"), [(row.scope, row.actor, rfc3339(row.since_at)) for row in found])


def _already(scope: str) -> str:
    return f"{scope} is paused already; `takedown-receiver pause --list` shows by whom, and `resume` ends it"


@click.command()
@_adapter
@_issuer
@click.pass_context
def resume(ctx: click.Context, adapter: str | None, issuer: str | None) -> None:
    """Act again on what was paused."""
    config = settings(ctx)
    scope = _scope(config, adapter, issuer)
    with opened(config) as store:
        hint = f"{scope} is not paused; `takedown-receiver pause --list` shows what is"
        write(store, end_pause(scope, who_typed(), now=store.now()), conflict=hint)
        store.lift_pause(scope)
    click.echo(f"{scope}: acting again")
