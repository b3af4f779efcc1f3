"""`vault`: is the sealed evidence still what was sealed?"""

from __future__ import annotations

from collections.abc import Iterator

import click

from receiver.cli.base import done, json_option, print_facts, print_json, settings
from receiver.cli.exits import Exit
from receiver.cli.opened import opened
from receiver.cli.progress import bar
from receiver.domain.ports import Reads
from receiver.domain.rows import SealRow
from receiver.wiring import build_vault

PAGE_CASES = 200


@click.group()
def vault() -> None:
    """Check the sealed evidence. Nothing here can open it."""


@vault.command()
@json_option
@click.pass_context
def verify(ctx: click.Context, as_json: bool) -> None:
    """Hash every seal again and look for its headers. Exit 1 when one is gone or changed."""
    config = settings(ctx)
    stores = build_vault(config, sealing=False)
    wrong: list[str] = []
    with opened(config) as store, bar("vault") as tell:
        seals = list(all_seals(store))
        for count, (code, seal) in enumerate(seals, start=1):
            if not stores.check_seal(seal.payload_ref, seal.sha256_sealed):
                wrong.append(f"{code}: the sealed bytes of {seal.id} are gone or changed; restore them from a backup")
            if not stores.check_header(seal.header_ref):
                wrong.append(f"{code}: the header of {seal.id} is missing or differs between its stores")
            tell(count, len(seals))
    if as_json:
        print_json({"seals": len(seals), "problems": wrong})
    else:
        print_facts({"seals": len(seals), "problems": len(wrong)})
        for problem in wrong:
            click.echo(problem)
    done(Exit.PROBLEM if wrong else Exit.OK)


def all_seals(reads: Reads) -> Iterator[tuple[str, SealRow]]:
    """Of every case, closed or not, but for what was destroyed on purpose."""
    after: str | None = None
    while lines := reads.list_cases(state=None, issuer=None, after=after, limit=PAGE_CASES):
        for line in lines:
            seals = reads.load_case(line.case.id).seals
            yield from ((line.case.code, seal) for seal in seals if seal.destroyed_at is None)
        after = lines[-1].case.id
