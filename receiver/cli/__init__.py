"""The command line. One module per noun; `root` lists them."""

from __future__ import annotations

from receiver.cli.root import main

__all__ = ["main"]
