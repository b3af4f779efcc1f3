"""`check`: all mistakes of the settings together, then every part asked whether it works."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import click

from receiver.cli.base import config_path, done, json_option, print_json
from receiver.cli.checks import adapters, database, evidence, keys, listening, nginx, peers, rules
from receiver.cli.exits import Exit
from receiver.cli.findings import Finding, Level, counted, fail, measured_words, ok, warn
from receiver.config import Config, ConfigError, load_config
from receiver.logs import mask_text


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part to ask, and the tables of the settings whose mistakes would make its answers mean nothing."""

    name: str
    ask: Callable[[Config], Iterable[Finding]]
    needs: frozenset[str]
    tries_out: bool = False
    """It makes files, which must belong to the user of the processes."""


def _part(name: str, ask: Callable[[Config], Iterable[Finding]], needs: str, *, tries_out: bool = False) -> Part:
    return Part(name=name, ask=ask, needs=frozenset(needs.split()), tries_out=tries_out)


PARTS: Sequence[Part] = (
    _part("files", keys.ask_files, "keys server vault issuers database"),
    _part("keys", keys.ask_keys, "keys server"),
    _part("routes", rules.ask_routes, "routes policy issuers adapters gates caches"),
    _part("issuers", rules.ask_issuers, "issuers server"),
    _part("register", rules.ask_register, "issuers server database keys", tries_out=True),
    _part("policy", rules.ask_policy, "policy"),
    _part("database", database.ask_database, "database keys server", tries_out=True),
    _part("processes", database.ask_processes, "database keys server", tries_out=True),
    _part("agent", adapters.ask_agent, "agent server adapters gates caches"),
    _part("adapters", adapters.ask_adapters, "server adapters gates caches"),
    _part("gates", nginx.ask_gates, "agent server gates"),
    _part("vault", evidence.ask_vault, "vault server", tries_out=True),
    _part("ledger", evidence.ask_ledger, "ledger database keys server", tries_out=True),
    _part("clock", peers.ask_clock, ""),
    _part("callbacks", peers.ask_peers, "issuers"),
    _part("listening", listening.ask_listening, "server"),
)
_OF_SETTINGS = "C"
"""How the ids of all mistakes begin that `web`, `admin` and `worker` end with 3 for."""
_MARKS = {Level.OK: "  ok  ", Level.WARN: " warn ", Level.FAIL: " FAIL "}


@click.command()
@json_option
@click.pass_context
def check(ctx: click.Context, as_json: bool) -> None:
    """Read the settings, probe every part, and list all that is wrong, each with what to do.

    Exit 1 when something fails, 3 for settings and the files that they name. Type it as the user that the processes
    run as.
    """
    path = config_path(ctx)
    wrong: list[Finding] = []
    config: Config | None
    try:
        config = load_config(path, os.environ)
    except ConfigError as error:
        wrong = [keys.of_problem(problem) for problem in error.problems]
        config = error.rest if isinstance(error.rest, Config) else None
    findings = wrong or [ok("C00", "settings", f"{path}: every setting is understood")]
    if config is not None:
        findings += findings_of(config, spoilt=frozenset(_table_of(finding) for finding in wrong))
    _tell(findings, as_json=as_json)
    done(exit_code(findings))


def exit_code(findings: Sequence[Finding]) -> Exit:
    """Mistakes of the settings and of the files that they name weigh more than what else failed."""
    failed = [finding for finding in findings if finding.level is Level.FAIL]
    if any(finding.id.startswith(_OF_SETTINGS) for finding in failed):
        return Exit.SETTINGS
    return Exit.PROBLEM if failed else Exit.OK


def _table_of(finding: Finding) -> str:
    return finding.about.partition(".")[0]


def findings_of(config: Config, *, spoilt: frozenset[str] = frozenset()) -> list[Finding]:
    """Every part's answers. `spoilt` names tables with mistakes: what rests on them is left out, and that is said."""
    other = keys.typed_by_another(config) if "keys" not in spoilt else None
    findings = [other] if other else []
    left_out = []
    for part in PARTS:
        if part.needs & spoilt:
            left_out.append(part.name)
        elif not (part.tries_out and other):
            findings += _asked(part, config)
    if left_out:
        findings.append(warn("X02", "check", f"not asked until the settings are mended: {', '.join(left_out)}"))
    return findings


def _asked(part: Part, config: Config) -> Iterator[Finding]:
    """Whatever happens in one part, the others are asked too."""
    try:
        yield from part.ask(config)
    except Exception as error:  # noqa: BLE001 - a part that breaks in a way nobody foresaw must hide no other
        yield fail("X01", part.name, f"it could not be asked to the end ({type(error).__name__})")


def _tell(findings: Sequence[Finding], *, as_json: bool) -> None:
    if as_json:
        print_json([found.as_json() for found in findings])
        return
    for found in findings:
        measured = f" ({measured_words(found.measured)})" if found.measured else ""
        click.echo(mask_text(f"{_MARKS[found.level]} {found.id} {found.about}: {found.words}{measured}"))
        if found.level is not Level.OK:
            click.echo(mask_text(f"            {found.hint} (see {found.see})"))
    counts = {level: sum(found.level is level for found in findings) for level in Level}
    click.echo(f"{counts[Level.FAIL]} failed, {counted(counts[Level.WARN], 'warnings')}, {counts[Level.OK]} fine")
