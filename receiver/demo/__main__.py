"""`make demo`: one signed notice, from the first byte to the last proof, on this machine alone."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from receiver.demo.commands import SOURCE
from receiver.demo.errors import DemoError
from receiver.demo.show import show
from receiver.domain.errors import ReceiverError

INTERRUPTED = 130


@click.command()
@click.option("--once", is_flag=True, help="End after one notice; exit 0 only if everything happened.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=SOURCE / "demo-data",
    show_default="demo-data",
    help="Where everything is put.",
)
@click.option("--keep", is_flag=True, help="Go on in the folder of an earlier demo, which else begins anew.")
def main(folder: Path, *, once: bool, keep: bool) -> None:
    """Set up a receiver, a site with generated pictures and an issuer, and take one picture down.

    Everything listens on loopback only. A demo that was killed goes on where it was.
    """
    try:
        code = show(folder, once=once, keep=keep)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except (DemoError, ReceiverError) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(code)


if __name__ == "__main__":
    main(prog_name="make demo")
