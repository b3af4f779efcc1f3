"""`route`: which URL is whose, and where it is stored."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any

import click

from receiver.cli.base import SettingsError, config_path, json_option, print_json, print_table, settings
from receiver.config import ConfigError, load_config
from receiver.config import Route as RouteSettings
from receiver.config.conf_d import write_entry
from receiver.resolution.routes import Route as RouteRule


@click.group()
def route() -> None:
    """Which URL is whose, and where it is stored."""


@route.command("list")
@json_option
@click.pass_context
def list_routes(ctx: click.Context, as_json: bool) -> None:
    """All routes, in order of host and path."""
    found = sorted(settings(ctx).routes, key=lambda entry: (entry.host, entry.path))
    if as_json:
        print_json([entry.model_dump(mode="json") for entry in found])
        return
    rows = [
        (entry.title, entry.customer, entry.storage or "-", " ".join(entry.gates) or "-", " ".join(entry.caches) or "-")
        for entry in found
    ]
    print_table("Routes", ("host and path", "customer", "storage", "gates", "caches"), rows)


@route.command()
@click.argument("host")
@click.option("--path", default="/", show_default=True, help="Path prefix; the longest match wins.")
@click.option("--customer", required=True, help="Whose content it is.")
@click.option("--storage", help="Name under [adapters].")
@click.option("--key", help='The store\'s name for the object, as in "acme/public{path}".')
@click.option("--gate", "gates", multiple=True, help="Name under [gates]. Repeat.")
@click.option("--cache", "caches", multiple=True, help="Name under [caches]. Repeat.")
@click.option("--look-at", "look_at", multiple=True, metavar="ADDRESS:PORT", help="Where to look from outside. Repeat.")
@click.option("--alias", "aliases", multiple=True, help="Another host with the same paths. Repeat.")
@click.pass_context
def add(ctx: click.Context, /, **given: Any) -> None:
    """Say which customer and store stand behind a HOST (exact, or "*.example.net"): writes one file into conf.d."""
    entry = {name: value for name, value in given.items() if value not in (None, ())}
    path = config_path(ctx)
    try:
        config = load_config(path, os.environ, more={"routes": [entry]})
    except ConfigError as error:
        raise SettingsError(f"nothing was written:\n{error}") from error
    mistakes = list(rule_of(config.routes[-1]).problems())
    if mistakes:
        raise SettingsError("nothing was written:\n" + "\n".join(mistakes))
    written = write_entry(path.absolute().parent, f"route-{_slug(given['host'], given['path'])}", "routes", entry)
    click.echo(f"The route stands in {written}. Send the processes SIGHUP, or restart them, to take it up.")


def _slug(host: str, path: str) -> str:
    """A file name: readable, and another one for another route."""
    words = re.sub(r"[^a-z0-9]+", "-", f"{host}{path}".lower()).strip("-")[:60]
    return f"{words}-{hashlib.sha256(f'{host}{path}'.encode()).hexdigest()[:6]}"


def rule_of(entry: RouteSettings) -> RouteRule:
    return RouteRule(**entry.model_dump())
