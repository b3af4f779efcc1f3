"""What can go wrong with sealed evidence. No message names a customer, a file of theirs or a key.

Outside this room they are all caught as `receiver.domain.errors.VaultError`.
"""

from __future__ import annotations

from receiver.domain.errors import VaultError


class VaultUnavailableError(VaultError):
    """The store cannot take or give bytes now (full, read-only, gone); the original stays where it is. Try again."""


class SealMismatchError(VaultError):
    """What came back from the store is not what was sealed. The seal was taken away; nothing may be removed on it."""


class AgeError(VaultError):
    """The age format was not kept, or a key is not one."""


class AgeKeyError(AgeError):
    """The text is not an age X25519 recipient or identity."""


class AgeHeaderError(AgeError):
    """The header is damaged or made by something that does not keep to the format."""


class AgeNoMatchError(AgeError):
    """The header is sound, but this identity opens none of its stanzas."""


class AgePayloadError(AgeError):
    """The payload is damaged, cut short or longer than it was."""
