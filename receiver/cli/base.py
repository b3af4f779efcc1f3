"""What all commands share: the settings, two ways to print, and errors that say what to do next."""

from __future__ import annotations

import json as json_module
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.table import Table

from receiver.cli.exits import Exit
from receiver.config import Config, ConfigError, ConfigProblem, file_problems, load_config
from receiver.config.files import Role
from receiver.config.sources import PATH_VARIABLE

DEFAULT_PATH = "config.toml"

json_option = click.option("as_json", "--json", is_flag=True, help="Print JSON for programs.")


class CommandError(click.ClickException):
    """Ends a command with words and a code."""

    exit_code = int(Exit.PROBLEM)


class SettingsError(CommandError):
    exit_code = int(Exit.SETTINGS)


class UnreachableError(CommandError):
    exit_code = int(Exit.UNREACHABLE)


def config_path(ctx: click.Context) -> Path:
    """`--config`, else TAKEDOWN_CONFIG, else config.toml here."""
    given: Path | None = (ctx.find_root().obj or {}).get("config")
    return given or Path(os.environ.get(PATH_VARIABLE, DEFAULT_PATH))


def settings(ctx: click.Context) -> Config:
    """The settings, or exit 3 with every mistake in them."""
    path = config_path(ctx)
    try:
        return load_config(path, os.environ)
    except ConfigError as error:
        raise SettingsError(_mistakes(path, error.problems)) from error


def settings_for(ctx: click.Context, role: Role) -> Config:
    """The settings of a process, whose key files are there and closed to others; or exit 3."""
    config = settings(ctx)
    check_files(config, role)
    return config


def check_files(config: Config, role: Role) -> None:
    """Exit 3 where a file that this role needs is not there, not readable or open to others."""
    problems = file_problems(config, role)
    if problems:
        raise SettingsError(_mistakes(config.source, problems))


def _mistakes(path: Path, problems: Sequence[ConfigProblem]) -> str:
    found = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
    return f"{found} in the settings ({path}):\n" + "\n".join(f"  {problem.line()}" for problem in problems)


def print_json(value: Any) -> None:
    click.echo(json_module.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Empty lists say so, in words."""
    if not rows:
        click.echo(f"{title}: none")
        return
    table = Table(*columns, title=title, title_justify="left", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console().print(table)


def print_facts(facts: Mapping[str, object]) -> None:
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        click.echo(f"{name:<{width}}  {value}")


def console(*, stderr: bool = False) -> Console:
    """Plain text where nobody looks; wide enough then that no line of a table is cut."""
    out = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if out.isatty() else 200, highlight=False, markup=False)


def done(code: int) -> NoReturn:
    raise SystemExit(int(code))
