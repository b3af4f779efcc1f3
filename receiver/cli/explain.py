"""`explain`: what would happen to a URL, read from standard input: shells and process lists keep arguments."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from receiver.cli.base import CommandError, json_option, print_facts, print_json, settings
from receiver.cli.opened import opened
from receiver.domain.ids import parse_case_code
from receiver.steps.explain import Explanation
from receiver.steps.explain import explain as explain_url
from receiver.store import SqlStore
from receiver.wiring import build_tools

MAX_INPUT_CHARACTERS = 16_384


@click.command()
@json_option
@click.pass_context
def explain(ctx: click.Context, as_json: bool) -> None:
    """Say what a notice for a URL would do, as if its issuer might order anything. Touches nothing.

    Type the URL, or a case's code, on standard input: never as an argument.
    """
    config = settings(ctx)
    with opened(config) as store:
        text = _typed()
        tools = build_tools(config, store)
        found = [explain_url(url, tools) for url in _urls(text, store)]
    if as_json:
        print_json([{"facts": one.facts, "acts": one.acts} for one in found])
        return
    for one in found:
        _tell(one)


def _typed() -> str:
    if sys.stdin.isatty():
        click.echo("URL or case code, then Enter:", err=True)
    text = sys.stdin.readline(MAX_INPUT_CHARACTERS).strip()
    if not text:
        raise CommandError("nothing came; write the URL to standard input")
    return text


def _urls(text: str, store: SqlStore) -> tuple[str, ...]:
    code = parse_case_code(text)
    if code is None:
        return (text,)
    case = store.find_case_by_code(code)
    if case is None:
        raise CommandError("there is no case of that code; `takedown-receiver case list` shows them")
    return tuple(row.url for row in store.load_case(case).urls)


def _tell(found: Explanation) -> None:
    print_facts({name.replace("_", " "): _plain(value) for name, value in found.facts.items()})
    click.echo("would:")
    for act in found.acts:
        click.echo(f"  {_plain(act)}")
    click.echo()


def _plain(value: Any) -> str:
    """Stored names may hold letters that steer a terminal; those are shown as their codes."""
    if value is None or value == []:
        return "none"
    if isinstance(value, list):
        return "; ".join(_plain(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items())
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(value))
