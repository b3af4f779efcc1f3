"""`db`: the database's tables."""

from __future__ import annotations

import click

from receiver.cli.base import json_option, print_facts, print_json, settings
from receiver.store.grants import grants
from receiver.store.migrate import current_version, known_version, upgrade


@click.group()
def db() -> None:
    """The database's tables. `web` and `worker` refuse tables that are newer than they are."""


@db.command("upgrade")
@click.pass_context
def upgrade_tables(ctx: click.Context) -> None:
    """Bring the tables to this program's version, under a lock. Safe to repeat and to run everywhere at once."""
    config = settings(ctx)
    path = config.database.sqlite_path
    if path is not None:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    click.echo(f"the tables have version {upgrade(config.database.full_url())}")


@db.command()
@json_option
@click.pass_context
def current(ctx: click.Context, as_json: bool) -> None:
    """Which version the tables have, and which this program needs."""
    config = settings(ctx)
    found = None if config.database.is_to_be_made else current_version(config.database.full_url())
    facts = {"tables": found or "none yet", "program": known_version()}
    if as_json:
        print_json(facts | {"tables": found})
    else:
        print_facts(facts)


@db.command("grants")
@click.option("--web", required=True, help="PostgreSQL role of the public side.")
@click.option("--admin", required=True, help="Role of the staff side.")
@click.option("--worker", required=True, help="Role of the workers.")
def print_grants(web: str, admin: str, worker: str) -> None:
    """Print SQL that gives each process's role what it needs and no more; changes nothing itself.

    Run it as the owner of the tables after each `db upgrade`: takedown-receiver db grants … | psql.
    """
    for statement in grants(web=web, admin=admin, worker=worker):
        click.echo(f"{statement};")
