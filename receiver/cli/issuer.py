"""`issuer`: organisations that may send notices, and their keys."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from receiver.cli.base import (
    CommandError,
    SettingsError,
    config_path,
    json_option,
    print_json,
    print_table,
    settings,
)
from receiver.cli.issuer_keys import fingerprint_rows, joined, known_keys, read_keys, replace_file
from receiver.cli.opened import opened
from receiver.config import Config, ConfigError, Issuer, load_config
from receiver.config.conf_d import write_entry
from receiver.domain.ports import KeyOverlay
from receiver.verification.keys import merge_overlay

KEY_COLUMNS = ("key id", "algorithm", "state", "fingerprint (RFC 7638)")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def issuer() -> None:
    """Organisations that may send notices, and their keys."""


@issuer.command("list")
@json_option
@click.pass_context
def list_issuers(ctx: click.Context, as_json: bool) -> None:
    """Who may send what, and with which keys."""
    config = settings(ctx)
    overlay = _overlay(config)
    found = [_described(config, entry, overlay) for entry in config.issuers]
    if as_json:
        print_json(found)
        return
    rows = [
        (entry["id"], entry["name"], ", ".join(f"{k}={v}" for k, v in entry["categories"].items()), len(entry["keys"]))
        for entry in found
    ]
    print_table("Issuers", ("id", "name", "categories", "keys"), rows)
    waiting = [(entry["id"], *key.values()) for entry in found for key in entry["keys"] if key["state"] == "pending"]
    if waiting:
        click.echo()
        print_table("Keys that wait: `issuer approve-key`, after a call", ("issuer", *KEY_COLUMNS), waiting)


def _overlay(config: Config) -> Sequence[KeyOverlay]:
    """What the database says of keys; nothing before it was made, when issuers may be entered already."""
    if config.database.is_to_be_made:
        return ()
    with opened(config) as store:
        return store.key_overlay()


def _described(config: Config, entry: Issuer, overlay: Sequence[KeyOverlay]) -> dict[str, Any]:
    records = merge_overlay(known_keys(config, entry), overlay).records
    keys = [
        {"key_id": kid, "algorithm": algorithm, "state": state, "fingerprint": fingerprint}
        for kid, algorithm, state, fingerprint in fingerprint_rows(records)
    ]
    return {
        "id": entry.id,
        "name": entry.name or entry.id,
        "categories": dict(entry.categories),
        "keys": keys,
        "keys_url": entry.keys_url is not None,
        "callback": entry.callback_url is not None,
    }


@issuer.command()
@click.argument("issuer_id", metavar="ID")
@click.option("--name", default="", help="Name that people read.")
@click.option("--keys-file", type=_FILE, help="JWKS with the issuer's public keys; it is copied beside the settings.")
@click.option("--keys-url", help="https address of a JWKS instead; its keys wait until two people confirm them.")
@click.option("--category", "categories", multiple=True, required=True, metavar="TOKEN=ACT", help="csam=act. Repeat.")
@click.option("--callback-url", help="Where it hears outcomes.")
@click.option("--callback-ca-file", type=_FILE, help="PEM of a private authority behind the callback address.")
@click.option("--may-keep-up", is_flag=True, help="It may send preserve_only.")
@click.option("--allow-private-callback", is_flag=True, help="Only for an issuer inside your own network.")
@click.option("--yes", is_flag=True, help="The fingerprints were compared already.")
@click.pass_context
def add(ctx: click.Context, /, issuer_id: str, keys_file: Path | None, yes: bool, **given: Any) -> None:
    """Let an organisation send notices: writes conf.d/issuer-ID.toml and issuers/ID.jwks.json."""
    path = config_path(ctx)
    entry = _entry(issuer_id, keys_file, given)
    _judged(path, entry)
    if keys_file is not None:
        _compared(issuer_id, keys_file, yes=yes)
        target = path.absolute().parent / entry["keys_file"]
        if target.exists():
            raise SettingsError(f"{target} exists; to add keys to a known issuer type: issuer enrol {issuer_id} FILE")
        replace_file(target, keys_file.read_bytes())
    written = write_entry(path.absolute().parent, f"issuer-{issuer_id}", "issuers", entry)
    click.echo(f"{issuer_id} stands in {written}. Send the processes SIGHUP, or restart them, to take it up.")


def _entry(issuer_id: str, keys_file: Path | None, given: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": issuer_id,
        "name": given["name"] or None,
        "keys_file": None if keys_file is None else f"issuers/{issuer_id}.jwks.json",
        "keys_url": given["keys_url"],
        "categories": dict(_category(text) for text in given["categories"]),
        "callback_url": given["callback_url"],
        "callback_ca_file": None if given["callback_ca_file"] is None else str(given["callback_ca_file"].absolute()),
        "may_keep_up": given["may_keep_up"] or None,
        "allow_private_callback": given["allow_private_callback"] or None,
    }


def _category(text: str) -> tuple[str, str]:
    token, equals, act = text.partition("=")
    if not equals:
        raise click.BadParameter("write TOKEN=ACT, as in csam=act", param_hint="--category")
    return token, act


def _judged(path: Path, entry: dict[str, Any]) -> Config:
    """Refuse before anything is written, so that a reload never meets a bad file."""
    told = {name: value for name, value in entry.items() if value is not None}
    try:
        return load_config(path, os.environ, more={"issuers": [told]})
    except ConfigError as error:
        raise SettingsError(f"nothing was written:\n{error}") from error


def _compared(issuer_id: str, keys_file: Path, *, yes: bool) -> None:
    print_table(f"Keys of {issuer_id}", KEY_COLUMNS, fingerprint_rows(read_keys(issuer_id, keys_file)))
    if not yes:
        click.confirm("Did the issuer read these fingerprints to you over another channel?", abort=True)


@issuer.command()
@click.argument("issuer_id", metavar="ID")
@click.argument("file", metavar="FILE.jwks", type=_FILE)
@click.option("--yes", is_flag=True, help="The fingerprints were compared already.")
@click.pass_context
def enrol(ctx: click.Context, issuer_id: str, file: Path, yes: bool) -> None:
    """Show the fingerprints of new keys, refuse weak ones, and add them to the issuer's key file."""
    entry = known_issuer(settings(ctx), issuer_id)
    if entry.keys_file is None:
        raise CommandError(
            f"{issuer_id} publishes its keys itself; confirm them with: issuer approve-key {issuer_id} KEY"
        )
    content = joined(issuer_id, entry.keys_file, file)
    _compared(issuer_id, file, yes=yes)
    replace_file(entry.keys_file, content)
    click.echo(f"The keys stand in {entry.keys_file}. Send the processes SIGHUP, or restart them, to take them up.")


def known_issuer(config: Config, issuer_id: str) -> Issuer:
    entry = config.issuer(issuer_id)
    if entry is None:
        known = ", ".join(found.id for found in config.issuers) or "none yet"
        raise CommandError(f"no issuer is called {issuer_id}; known: {known}")
    return entry
