"""`python -m receiver` is the command `takedown-receiver`."""

from __future__ import annotations

from receiver.cli import main

if __name__ == "__main__":
    main(prog_name="takedown-receiver")
