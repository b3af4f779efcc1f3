"""`ledger`: verify, sign and prove the history."""

from __future__ import annotations

import base64
import dataclasses
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import click

from receiver.cli.base import CommandError, config_path, done, json_option, print_facts, print_json, settings
from receiver.cli.exits import Exit
from receiver.cli.opened import opened
from receiver.cli.progress import bar
from receiver.config import Config
from receiver.engine.numbering import LEAD
from receiver.ledger.checkpoint import Verifier, load_ledger_key
from receiver.ledger.leaves import Leaves, ReadLeaves, read_here
from receiver.ledger.prove import Proof, check_proof
from receiver.ledger.prove import prove as prove_entry
from receiver.ledger.readers import Command, read_apart, readers_for, write_leaves
from receiver.ledger.verify import LedgerReport, verify_ledger
from receiver.store import SqlStore
from receiver.wiring import build_ledger
from receiver.wiring.parts import build_copies, ledger_name

MAX_ENTRIES = 1000


@click.group()
def ledger() -> None:
    """Verify and prove the history of everything done."""


def _vkey(config: Config, given: str | None) -> str:
    """The public key: as typed, else made from our own secret one."""
    return given or load_ledger_key(str(config.keys.ledger_key_file), ledger_name(config)).vkey


_vkey_option = click.option("--vkey", help="The ledger's public key, where this machine does not hold the secret one.")


@ledger.command()
@_vkey_option
@json_option
@click.pass_context
def verify(ctx: click.Context, vkey: str | None, as_json: bool) -> None:
    """Compute everything again: entries, tree, signatures, outside copies. Exit 1 when anything was changed."""
    config = settings(ctx)
    public_key = _vkey(config, vkey)
    with opened(config) as store, bar("ledger") as tell:
        report = verify_ledger(store, public_key, build_copies(config), tell, _reading(store, config_path(ctx)))
    if as_json:
        print_json(_as_json(report) | {"public_key": public_key})
    else:
        _tell(report, public_key)
    done(Exit.OK if report.ok else Exit.PROBLEM)


def reader_command(config_file: Path) -> Command:
    """What to type for a reader of the ledger that these settings name."""

    def command(k: int, n: int, size: int) -> list[str]:
        words = [sys.executable, "-m", "receiver", "--config", str(config_file), "ledger", "leaves"]
        return [*words, f"--reader={k}", f"--of={n}", f"--size={size}"]

    return command


def _reading(store: SqlStore, config_file: Path) -> ReadLeaves:
    """Here, or in as many processes as the ledger's size is worth."""

    def read(size: int) -> Generator[Leaves, None, None]:
        count = readers_for(size, len(os.sched_getaffinity(0)))
        return read_apart(reader_command(config_file), count)(size) if count > 1 else read_here(store)(size)

    return read


@ledger.command(hidden=True)
@click.option("--reader", type=int, required=True)
@click.option("--of", type=int, required=True)
@click.option("--size", type=int, required=True)
@click.pass_context
def leaves(ctx: click.Context, reader: int, of: int, size: int) -> None:
    """What `verify` starts beside itself; its output is for that alone."""
    with opened(settings(ctx)) as store:
        write_leaves(store, sys.stdout.buffer, k=reader, n=of, size=size)


def _as_json(report: LedgerReport) -> dict[str, Any]:
    told = dataclasses.asdict(report) | {"root": report.root.hex()}
    if report.checkpoint is not None:
        told["checkpoint"] = told["checkpoint"] | {"root": report.checkpoint.root.hex()}
    return told


def _tell(report: LedgerReport, public_key: str) -> None:
    facts = {
        "ledger": "whole and unchanged" if report.ok else "NOT AS IT WAS SIGNED",
        "entries": report.size,
        "root": base64.b64encode(report.root).decode("ascii"),
        "public key": public_key,
        "details checked": report.details_checked,
        "details erased": report.details_erased,
    }
    print_facts(facts)
    for problem in report.problems:
        click.echo(f"problem: {problem}")
    for remark in report.remarks:
        click.echo(f"remark: {remark}")


@ledger.command()
@json_option
@click.pass_context
def checkpoint(ctx: click.Context, as_json: bool) -> None:
    """Sign a checkpoint now and copy it outside. Typed where the ledger key is."""
    config = settings(ctx)
    with opened(config) as store:
        sequencer = build_ledger(config, store)
        lead = store.try_lead(LEAD)
        if lead is not None:  # else a worker numbers entries, five times a second
            try:
                while sequencer.run_once():
                    pass
            finally:
                lead.release()
        signed = sequencer.checkpoint()
    if as_json:
        print_json(dataclasses.asdict(signed) | {"root": signed.root.hex()})
    else:
        print_facts({"entries": signed.size, "copies": ", ".join(signed.copies) or "none"})
        click.echo("\n".join([*(f"problem: {problem}" for problem in signed.problems), "", signed.note]))
    done(Exit.PROBLEM if signed.problems else Exit.OK)


@ledger.command()
@click.argument("subject", metavar="CASE-OR-ID")
@_vkey_option
@json_option
@click.pass_context
def prove(ctx: click.Context, subject: str, vkey: str | None, as_json: bool) -> None:
    """Prove that what was entered about a case (its code) or another id stands in the signed ledger."""
    config = settings(ctx)
    verifier = Verifier(_vkey(config, vkey))
    with opened(config) as store:
        entries = store.entries_about(store.find_case_by_code(subject) or subject, MAX_ENTRIES)
        if not entries:
            raise CommandError(f"nothing was ever entered about {subject}; type a case code as the admin pages show it")
        proofs = [prove_entry(store, entry) for entry in entries]
    wrong = [f"{proof.entry.kind}: {problem}" for proof in proofs for problem in check_proof(proof, verifier)]
    if as_json:
        print_json({"problems": wrong, "proofs": [_proof_json(proof) for proof in proofs]})
    else:
        for proof in proofs:
            click.echo(f"{proof.seq:>10}  {proof.entry.kind}")
        click.echo("\n".join(wrong) or f"{len(proofs)} entries are in the ledger of size {proofs[0].size}")
    done(Exit.PROBLEM if wrong else Exit.OK)


def _proof_json(proof: Proof) -> dict[str, Any]:
    return {
        "entry": proof.entry.id,
        "kind": proof.entry.kind,
        "seq": proof.seq,
        "size": proof.size,
        "leaf_hash": proof.entry.leaf_hash.hex(),
        "hashes": [part.hex() for part in proof.hashes],
        "checkpoint": proof.note,
    }
