"""The API of the command line: the same services as the pages, bearer tokens, problem+json."""

from receiver.admin.api import deciding, reading

PREFIX = "/api/v1"
PARTS = (reading, deciding)

__all__ = ["PARTS", "PREFIX"]
