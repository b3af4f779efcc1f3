"""`init`: the first command on a new machine."""

from __future__ import annotations

from pathlib import Path

import click

from receiver.cli.base import SettingsError, json_option, print_facts, print_json
from receiver.config import ConfigError, load_config
from receiver.keyfiles import Made, init_folder


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--origin",
    default="https://notices.host.example",
    show_default=True,
    help="What issuers will sign for: the scheme and host they send to.",
)
@json_option
def init(folder: Path, origin: str, as_json: bool) -> None:
    """Write config.toml, agent.toml and all keys into DIR, and print fingerprints.

    Nothing that exists is written over. No custodian identity is made here: whoever can open evidence must not share a
    machine with the receiver.
    """
    made = init_folder(folder, origin=origin)
    try:
        load_config(made.folder / "config.toml", {})
    except ConfigError as error:
        raise SettingsError(f"the folder is made, but its settings need a change:\n{error}") from error
    if as_json:
        print_json({"folder": str(folder), "written": made.written, "fingerprints": made.fingerprints})
    else:
        _tell(made)


def _tell(made: Made) -> None:
    click.echo(f"Made in {made.folder}:")
    for name in made.written:
        click.echo(f"  {name}")
    click.echo("\nFingerprints (RFC 7638); issuers compare those of callback and response by telephone:")
    print_facts({f"  {name}": fingerprint for name, fingerprint in made.fingerprints.items()})
    click.echo(
        "\nKeep a copy of keys/ elsewhere: without data.key the database cannot be read.\n"
        "\nNext:\n"
        "  1. Each custodian, on a machine of their own:  takedown-receiver custodian new FILE\n"
        f"     Put the lines they give you into {made.folder}/keys/custodians.txt (two or more).\n"
        f"  2. Name your stores in {made.folder}/config.toml and {made.folder}/agent.toml.\n"
        "  3. takedown-receiver issuer add, then route add\n"
        "  4. takedown-receiver db upgrade, then serve\n"
        "  5. takedown-receiver check, then admin-user add NAME"
    )
