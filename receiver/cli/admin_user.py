"""`admin-user`: people who may sign in to the admin pages, and their tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from receiver.cli.base import json_option, print_json, print_table, settings
from receiver.cli.opened import opened, who_typed
from receiver.config import Config
from receiver.domain.clock import SystemClock, rfc3339
from receiver.engine.committer import Committer
from receiver.services.passwords import Passwords
from receiver.services.people import SCOPES, PeopleService
from receiver.services.persons import ORDER


@contextmanager
def _people(config: Config) -> Iterator[PeopleService]:
    with opened(config) as store:
        committer = Committer(store)
        try:
            yield PeopleService(store=store, committer=committer, clock=SystemClock(), passwords=Passwords())
        finally:
            committer.close()


@click.group()
def admin_user() -> None:
    """People who may sign in to the admin pages. At first there are none."""


_role = click.Choice([role.value for role in ORDER])


@admin_user.command()
@click.argument("name")
@click.option("--role", type=_role, default="administrator", show_default=True)
@click.pass_context
def add(ctx: click.Context, name: str, role: str) -> None:
    """Make an account and print its one-time password, which must be changed at the first sign-in."""
    with _people(settings(ctx)) as people:
        _hand_over(name, people.add_user(name, role, actor=who_typed()))


@admin_user.command()
@click.argument("name")
@click.pass_context
def reset(ctx: click.Context, name: str) -> None:
    """Give NAME a new one-time password, end their sessions, and let a disabled account in again."""
    with _people(settings(ctx)) as people:
        _hand_over(name, people.reset(name, actor=who_typed()))


def _hand_over(name: str, password: str) -> None:
    """The password alone on standard output, so that it can be piped; it is shown this once."""
    click.echo(f"One-time password of {name}:", err=True)
    click.echo(password)


@admin_user.command()
@click.argument("name")
@click.pass_context
def disable(ctx: click.Context, name: str) -> None:
    """Let NAME in no more; their sessions and tokens end at once."""
    with _people(settings(ctx)) as people:
        people.disable(name, actor=who_typed())
    click.echo(f"{name} is disabled; `admin-user reset {name}` lets them in again")


@admin_user.command()
@click.argument("name")
@click.argument("role", type=_role)
@click.pass_context
def role(ctx: click.Context, name: str, role: str) -> None:
    """Let NAME do what ROLE may, from the next page on; tokens follow."""
    with _people(settings(ctx)) as people:
        people.set_role(name, role, actor=who_typed())
    click.echo(f"{name} is {role}")


@admin_user.command("list")
@json_option
@click.pass_context
def list_users(ctx: click.Context, as_json: bool) -> None:
    """Who may sign in, and as what."""
    with _people(settings(ctx)) as people:
        found = people.users()
    if as_json:
        rows = [{"name": user.name, "role": user.role, "disabled": user.disabled_at is not None} for user in found]
        print_json(rows)
        return
    told = [(user.name, user.role, "disabled" if user.disabled_at is not None else "may sign in") for user in found]
    print_table("Accounts", ("name", "role", "state"), told)


@admin_user.command()
@click.argument("name")
@click.option("--scope", type=click.Choice(SCOPES), default="act", show_default=True, help="What it is good for.")
@click.option("--days", default=90, show_default=True, help="How long it lives.")
@click.option("--label", default="command line", show_default=True, help="What it is called in lists.")
@click.pass_context
def token(ctx: click.Context, name: str, scope: str, days: int, label: str) -> None:
    """Make an API token for NAME and print it this once; `case` takes it by --token-file."""
    with _people(settings(ctx)) as people:
        click.echo(people.issue_token(name, label, scope, days, actor=who_typed()))


@admin_user.command()
@click.argument("name", required=False)
@json_option
@click.pass_context
def tokens(ctx: click.Context, name: str | None, as_json: bool) -> None:
    """Tokens of everybody, or of NAME. Their text is kept nowhere."""
    with _people(settings(ctx)) as people:
        found = people.tokens(name)
    rows = [
        (row.id, row.user, row.name, row.scope, "never" if row.expires_at is None else rfc3339(row.expires_at))
        for row in found
    ]
    if as_json:
        print_json([dict(zip(("id", "user", "name", "scope", "expires"), row, strict=True)) for row in rows])
    else:
        print_table("Tokens", ("id", "user", "name", "scope", "expires"), rows)


@admin_user.command("revoke-token")
@click.argument("token_id", metavar="ID")
@click.pass_context
def revoke_token(ctx: click.Context, token_id: str) -> None:
    """End a token at once."""
    with _people(settings(ctx)) as people:
        people.revoke_token(token_id, actor=who_typed())
    click.echo("ended")
