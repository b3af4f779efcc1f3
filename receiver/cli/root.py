"""The command `takedown-receiver`: a table of its commands, each loaded when it is typed."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

import click

from receiver import __version__
from receiver.cli.base import CommandError, UnreachableError
from receiver.domain.errors import ReceiverError, StoreUnavailableError

COMMANDS: Mapping[str, tuple[str, str]] = {
    "init": ("receiver.cli.init:init", "Make settings and keys in a new folder."),
    "serve": ("receiver.cli.serve:serve", "Run web, admin, worker and agent together."),
    "web": ("receiver.cli.web:web", "Take notices from issuers."),
    "admin": ("receiver.cli.admin:admin", "Serve the admin pages, the admin API and metrics."),
    "worker": ("receiver.cli.worker:worker", "Do the work: block, seal, purge, look, call back."),
    "agent": ("receiver.cli.agent:agent", "Touch this machine's files for the worker."),
    "check": ("receiver.cli.check:check", "Read the settings, probe every part, list all that is wrong."),
    "explain": ("receiver.cli.explain:explain", "Say what a notice for a URL would do; touches nothing."),
    "issuer": ("receiver.cli.issuer_register:issuer", "Organisations that may send notices, and their keys."),
    "route": ("receiver.cli.route:route", "Which URL is whose, and where it is stored."),
    "admin-user": ("receiver.cli.admin_user:admin_user", "People who may sign in to the admin pages."),
    "custodian": ("receiver.cli.custodian:custodian", "Offline: make an identity, unwrap one header."),
    "issuer-key": ("receiver.cli.issuer_key:issuer_key", "Offline, the issuer's side: make a signing key."),
    "send": ("receiver.cli.send:send", "The issuer's side: sign and send a notice, receive callbacks."),
    "case": ("receiver.cli.case:case", "See cases and act on them through the admin API."),
    "pause": ("receiver.cli.pause:pause", "Accept notices, but do not act."),
    "resume": ("receiver.cli.pause:resume", "Act again."),
    "ledger": ("receiver.cli.ledger:ledger", "Verify and prove the history of everything done."),
    "vault": ("receiver.cli.vault:vault", "Check the sealed evidence."),
    "db": ("receiver.cli.db:db", "The database's tables."),
    "healthcheck": ("receiver.cli.healthcheck:healthcheck", "For containers: is the public side able to record?"),
}


class Commands(click.Group):
    """Loads a command's module when it is used, so that `healthcheck` does not pay for all others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, said) for name, (_, said) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Our own errors become words and a code; anything else is a fault of ours and shows its trace."""
        try:
            return super().invoke(ctx)
        except StoreUnavailableError as error:
            raise UnreachableError(str(error)) from error
        except ReceiverError as error:
            raise CommandError(str(error)) from error


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="takedown-receiver")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Settings file. Default: $TAKEDOWN_CONFIG, else config.toml in this folder.",
)
@click.pass_context
def main(ctx: click.Context, config: Path | None) -> None:
    """Receives signed takedown notices and makes what they name unreachable.

    Exit codes: 0 done, 1 a problem was found, 2 typed wrongly, 3 mistakes in the settings, 4 something cannot be
    reached.
    """
    ctx.obj = {"config": config}
