"""`issuer-key`: typed on the issuer's own machine, offline. Needs no settings and reaches nothing."""

from __future__ import annotations

import json
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from receiver.cli.base import CommandError, print_facts
from receiver.client.send import check_key_id
from receiver.keyfiles import PUBLIC_MODE, SECRET_MODE, write_new
from receiver.verification.jwk import thumbprint
from receiver.verification.signing import SigningKey


@click.group("issuer-key")
def issuer_key() -> None:
    """Offline, on the issuer's own machine: make a signing key."""


@issuer_key.command()
@click.argument("file", metavar="KEY.pem", type=click.Path(path_type=Path))
@click.option("--key-id", required=True, help="The id it goes by, for ever; a new key gets a new one.")
def new(file: Path, key_id: str) -> None:
    """Make an Ed25519 key in KEY.pem and its public half, for the host, in KEY.jwks.json.

    KEY.pem signs notices: it stays with the issuer, and a host that runs the receiver must never hold it.
    """
    private = Ed25519PrivateKey.generate()
    public = SigningKey(key_id=check_key_id(key_id), private_key=private).public_jwk()
    jwks = file.with_suffix(".jwks.json")
    for name in (file, jwks):
        if name.exists():
            raise CommandError(f"{name} exists, and a key is never written over; name another file")
    _write(file, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), SECRET_MODE)
    _write(jwks, json.dumps({"keys": [public]}, indent=2).encode() + b"\n", PUBLIC_MODE)
    print_facts(
        {
            "private key, for you alone": file,
            "public key, for the host": jwks,
            "fingerprint, by telephone": thumbprint(private.public_key()),
        }
    )


def _write(file: Path, content: bytes, mode: int) -> None:
    try:
        write_new(file, content, mode=mode)
    except OSError as error:
        raise CommandError(f"{file} cannot be written ({error.strerror}); name another folder") from error
