"""`send`: the issuer's side. Signs a notice, checks the receipt, and can wait for the callbacks."""

from __future__ import annotations

from pathlib import Path

import click

from receiver.cli.base import CommandError, json_option, print_json
from receiver.client.listen import Callback, Listener, listen_with_keys
from receiver.client.send import IssuerClient, Sent, check_key_id, load_key
from receiver.domain.status import FINAL

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
RESTING = frozenset({*(status.value for status in FINAL), "disabled", "removed", "preserved_live"})
"""What an item can stay in: the listener stops waiting for it."""


@click.command()
@click.argument("notice", metavar="NOTICE.json", type=_FILE)
@click.option("--to", required=True, metavar="URL", help="The receiver's public address.")
@click.option("--key", "key_file", required=True, type=_FILE, help="The issuer's private key, PEM.")
@click.option("--key-id", required=True, help="The id under which the receiver registered it.")
@click.option("--jwks", "jwks_file", type=_FILE, help="The receiver's public keys; default: what it publishes.")
@click.option("--ca-file", type=_FILE, help="PEM of a private authority behind the receiver's certificate.")
@click.option("--about", metavar="NOTICE-ID", help="The file is a direction about that notice, such as withdraw.")
@click.option("--listen", metavar="ADDRESS:PORT", help="Also receive callbacks, until every item came to rest.")
@click.option("--seconds", default=60.0, show_default=True, help="How long to listen.")
@json_option
def send(
    *,
    notice: Path,
    to: str,
    key_file: Path,
    key_id: str,
    jwks_file: Path | None,
    ca_file: Path | None,
    about: str | None,
    listen: str | None,
    seconds: float,
    as_json: bool,
) -> None:
    """Sign NOTICE.json, send it, and check the signed receipt. Safe to repeat: the receipt is the same."""
    if about is not None and listen is not None:
        raise click.UsageError("--listen waits for a notice's items; send the direction alone")
    client = IssuerClient(
        to=to,
        key=load_key(key_file),
        key_id=check_key_id(key_id),
        jwks=None if jwks_file is None else jwks_file.read_bytes(),
        ca_file=ca_file,
    )
    if about is not None:
        _tell(client.direct(about, notice.read_bytes()), as_json=as_json)
        return
    if listen is None:
        _tell(client.hand_in(notice.read_bytes()), as_json=as_json)
        return
    with _listener(listen, client.keys(), as_json=as_json) as listener:
        sent = client.hand_in(notice.read_bytes())
        _tell(sent, as_json=as_json)
        items = {str(item["item_id"]) for item in sent.body.get("items", ())}
        if not listener.wait_for(lambda heard: items <= _at_rest(heard, sent), seconds):
            raise CommandError(
                f"not every item came to rest within {seconds:g} s; ask the status address of the receipt"
            )


def _listener(listen: str, keys: bytes, *, as_json: bool) -> Listener:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise click.BadParameter("write ADDRESS:PORT, as in 127.0.0.1:9000", param_hint="--listen")

    def heard(callback: Callback) -> None:
        if as_json:
            print_json(dict(callback.data))
        else:
            click.echo(callback.line())

    listener = listen_with_keys(keys, host=host, port=int(port), on_callback=heard)
    click.echo(f"listening; the receiver's callback_url for this issuer is {listener.url}", err=True)
    return listener


def _tell(sent: Sent, *, as_json: bool) -> None:
    if as_json:
        print_json({"status": sent.status, "signed_by": sent.signed_by, "answer": dict(sent.body)})
    else:
        click.echo("\n".join(sent.lines()))
    if not sent.accepted:
        raise CommandError("the receiver did not take it; the lines above say why")


def _at_rest(heard: tuple[Callback, ...], sent: Sent) -> set[str]:
    last = {call.item_id: call.status for call in heard if call.notice_id == sent.body.get("notice_id")}
    return {item for item, status in last.items() if status in RESTING}
