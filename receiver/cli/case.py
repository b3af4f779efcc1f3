"""`case`: what the admin pages do, through the admin API and with a person's own token."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import click

from receiver.cli.base import CommandError, json_option, print_facts, print_json, print_table, settings
from receiver.cli.local_http import Asked, ask, base_url

API = "/api/v1"
COLUMNS = (
    *("code", "item", "event", "notice_id", "item_id", "status", "reason", "exposure", "evidence", "customer"),
    *("hosts", "url", "issuers", "issuer", "category", "age", "next", "last_error"),
)
"""What a list shows, as far as its rows have it; `--json` has the rest."""


class _Api:
    """The admin API as one person sees it."""

    def __init__(self, base: str, token: str) -> None:
        self._base, self._token = base, token

    def get(self, path: str, **query: str | None) -> Any:
        told = urlencode({name: value for name, value in query.items() if value})
        return _told(ask(self._base, "GET", f"{API}{path}{'?' + told if told else ''}", token=self._token))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return _told(ask(self._base, "POST", f"{API}{path}", token=self._token, body=body))


def _told(answer: Asked) -> Any:
    if 200 <= answer.status < 300:
        return answer.body
    said = answer.body if isinstance(answer.body, dict) else {}
    words = said.get("detail") or said.get("title") or _WORDS.get(answer.status, "the admin API refused")
    raise CommandError(f"{words} ({answer.status})")


_WORDS = {
    401: "the token is not accepted; make a new one on the admin pages",
    403: "your role may not do that",
    404: "there is no such case or item",
    409: "somebody else acted first; look again",
}


@click.group()
@click.option(
    "--token-file",
    envvar="TAKEDOWN_TOKEN_FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with your own API token; each command needs it to act. Also $TAKEDOWN_TOKEN_FILE.",
)
@click.option("--url", help="Address of the admin side. Default: server.admin_bind of the settings.")
@click.pass_context
def case(ctx: click.Context, token_file: Path | None, url: str | None) -> None:
    """See cases and act on them. Every act is entered in the ledger under your name."""
    del token_file, url
    ctx.obj = {**(ctx.obj or {}), "case": ctx}


def _api(ctx: click.Context) -> _Api:
    """Made when a command acts and not before: the help of each needs neither a token nor settings."""
    group: click.Context = ctx.obj["case"]
    token_file, url = group.params["token_file"], group.params["url"]
    if token_file is None:
        wanted = next(param for param in case.params if param.name == "token_file")
        raise click.MissingParameter(ctx=group, param=wanted)
    base = url or base_url(settings(ctx).server.admin_bind)
    return _Api(base.rstrip("/"), token_file.read_text(encoding="utf-8").strip())


@case.command("list")
@click.option("--state", help="Exposure state, or open_ for all that are not closed.")
@click.option("--issuer", help="Only cases that this issuer's notices are about.")
@click.option("--review", is_flag=True, help="Items that wait for a person instead.")
@click.option("--dead-letters", is_flag=True, help="Callbacks that were given up instead.")
@click.option("--after", help="Go on after this id.")
@json_option
@click.pass_context
def list_cases(ctx: click.Context, /, as_json: bool, review: bool, dead_letters: bool, **query: str | None) -> None:
    """Open cases, oldest first."""
    if dead_letters:
        found = _api(ctx).get("/dead-letters", after=query["after"])
    elif review:
        found = _api(ctx).get("/items", status="review", after=query["after"])
    else:
        found = _api(ctx).get("/cases", **query)
    if as_json:
        print_json(found)
        return
    rows = _rows(found)
    columns = [name for name in COLUMNS if any(row.get(name) for row in rows)]
    print_table("Found", columns, [[_cell(row.get(name)) for name in columns] for row in rows])


def _rows(found: Any) -> list[dict[str, Any]]:
    """The list in an answer, under whatever name it stands."""
    if isinstance(found, dict):
        found = next((value for value in found.values() if isinstance(value, list)), [])
    return [row for row in found if isinstance(row, dict)]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(_cell(item) for item in value) or "-"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_cell(item)}" for name, item in value.items()) or "-"
    return str(value)


@case.command()
@click.argument("code")
@json_option
@click.pass_context
def show(ctx: click.Context, code: str, as_json: bool) -> None:
    """One case: its tracks, notices, looks and acts. URLs are defanged."""
    found = _api(ctx).get(f"/cases/{quote(code, safe='')}")
    if as_json or not isinstance(found, dict):
        print_json(found)
        return
    print_facts({name: _cell(value) for name, value in found.items() if not isinstance(value, list)})
    for name, value in found.items():
        if isinstance(value, list):
            click.echo(f"\n{name}:")
            for entry in value:
                click.echo(f"  {_cell(entry)}")


_reason = click.option("--reason", required=True, help="Why; it is kept in the ledger.")


@case.command()
@click.argument("item")
@_reason
@click.pass_context
def approve(ctx: click.Context, item: str, reason: str) -> None:
    """Act on an ITEM that is in review."""
    _done(_api(ctx).post(f"/items/{quote(item, safe='')}/approve", {"reason": reason}), "approved")


@case.command()
@click.argument("item")
@_reason
@click.pass_context
def refuse(ctx: click.Context, item: str, reason: str) -> None:
    """Decide against an ITEM that is in review; its issuer hears the reason."""
    _done(_api(ctx).post(f"/items/{quote(item, safe='')}/refuse", {"reason": reason}), "refused")


@case.command()
@click.argument("code")
@_reason
@click.pass_context
def release(ctx: click.Context, code: str, reason: str) -> None:
    """Bring a mistake back exactly as it was. Asks first; another person agrees with `case agree`."""
    _done(_api(ctx).post(f"/cases/{quote(code, safe='')}/release", {"reason": reason}), "asked for")


@case.command()
@click.argument("decision")
@click.pass_context
def agree(ctx: click.Context, decision: str) -> None:
    """Agree, as a second person, to a DECISION that somebody asked for."""
    _done(_api(ctx).post(f"/decisions/{quote(decision, safe='')}/agree", {}), "agreed")


@case.command()
@click.argument("code")
@click.pass_context
def retry(ctx: click.Context, code: str) -> None:
    """Let a stuck case go on."""
    _done(_api(ctx).post(f"/cases/{quote(code, safe='')}/retry", {}), "due again")


def _done(answer: Any, word: str) -> None:
    click.echo(word)
    if isinstance(answer, dict) and answer:
        print_facts({name: _cell(value) for name, value in answer.items()})
