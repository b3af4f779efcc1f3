"""`check`: all mistakes of the settings together, then every part asked whether it works."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Sequence

import click

from receiver.cli import probes
from receiver.cli.base import config_path, done, json_option, print_json
from receiver.cli.exits import Exit
from receiver.cli.findings import Finding, Level, fail, ok
from receiver.config import Config, ConfigError, load_config

PROBES: Sequence[Callable[[Config], Iterable[Finding]]] = (
    probes.probe_files,
    probes.probe_rules,
    probes.probe_policy,
    probes.probe_database,
    probes.probe_agent,
    probes.probe_adapters,
    probes.probe_vault,
    probes.probe_ledger,
)
_MARKS = {Level.OK: "  ok  ", Level.WARN: " warn ", Level.FAIL: " FAIL "}


@click.command()
@json_option
@click.pass_context
def check(ctx: click.Context, as_json: bool) -> None:
    """Read the settings, probe every part, and list all that is wrong. Exit 1 when something fails, 3 for settings."""
    path = config_path(ctx)
    try:
        config = load_config(path, os.environ)
    except ConfigError as error:
        _tell([fail(problem.setting or "settings", problem.line()) for problem in error.problems], as_json=as_json)
        done(Exit.SETTINGS)
    findings = [ok("settings", f"{path}: every setting is understood")]
    for probe in PROBES:
        findings += probe(config)
    try:
        findings += probes.probe_clock()
    except (OSError, subprocess.SubprocessError) as error:
        findings.append(fail("clock", f"the host's time service cannot be asked ({type(error).__name__})"))
    _tell(findings, as_json=as_json)
    done(Exit.PROBLEM if any(finding.level is Level.FAIL for finding in findings) else Exit.OK)


def _tell(findings: Sequence[Finding], *, as_json: bool) -> None:
    if as_json:
        print_json([{"about": found.about, "level": str(found.level), "words": found.words} for found in findings])
        return
    for found in findings:
        click.echo(f"{_MARKS[found.level]} {found.about}: {found.words}")
    counts = {level: sum(found.level is level for found in findings) for level in Level}
    click.echo(f"{counts[Level.FAIL]} failed, {counts[Level.WARN]} warnings, {counts[Level.OK]} fine")
