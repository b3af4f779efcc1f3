"""`custodian`: typed offline, on the custodian's own machine. Needs no settings and reaches nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from receiver.cli.base import CommandError, json_option, print_json
from receiver.domain.errors import ReceiverError
from receiver.keyfiles import SECRET_MODE, write_new
from receiver.vault import age


@click.group()
def custodian() -> None:
    """Offline, on the custodian's own machine: make an identity, unwrap one header."""


@custodian.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def new(file: Path, as_json: bool) -> None:
    """Make an identity in FILE and print its public line.

    FILE opens evidence: keep it offline, with a copy in a safe, and never on a machine that runs the receiver.
    """
    identity, recipient = age.new_identity()
    text = f"# public key: {recipient}\n{identity}\n"
    try:
        write_new(file, text.encode("ascii"), mode=SECRET_MODE)
    except FileExistsError as error:
        raise CommandError(f"{file} exists, and an identity is never written over; name another file") from error
    except OSError as error:
        raise CommandError(f"{file} cannot be written ({error.strerror}); name another folder") from error
    if as_json:
        print_json({"identity_file": str(file), "recipient": recipient})
        return
    click.echo(recipient)
    click.echo(f"The identity is in {file}. Give the line above to the host, for keys/custodians.txt.", err=True)


@custodian.command()
@click.argument("header", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--identity",
    "identity_file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Your own identity, as `custodian new` made it.",
)
@click.option("--to", "recipients", multiple=True, required=True, metavar="AGE1…", help="Who may open it. Repeat.")
@click.option("--out", type=click.Path(path_type=Path), help="Where the new header goes; default: standard output.")
def unwrap(header: Path, identity_file: Path, recipients: tuple[str, ...], out: Path | None) -> None:
    """Wrap one evidence HEADER anew for others: 266 bytes, whatever the size of the evidence.

    The payload stays where it is; nothing is decrypted here.
    """
    try:
        identity = _identity(identity_file)
        parsed = [age.parse_recipient(text) for text in recipients]
        wrapped = age.rewrap(header.read_bytes(), identity, parsed)
    except ReceiverError as error:
        raise CommandError(str(error)) from error
    if out is None:
        sys.stdout.buffer.write(wrapped)
        return
    try:
        write_new(out, wrapped, mode=SECRET_MODE)
    except OSError as error:
        raise CommandError(f"{out} cannot be written ({error.strerror}); name another file") from error
    click.echo(f"The header for {len(parsed)} recipient(s) is in {out}.", err=True)


def _identity(file: Path) -> age.Identity:
    """The one identity of a file as `custodian new` or `age-keygen` writes it."""
    lines = [line.strip() for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if len(found) != 1:
        raise CommandError(f"{file} must hold one identity (AGE-SECRET-KEY-1…); it holds {len(found)}")
    return age.parse_identity(found[0])
