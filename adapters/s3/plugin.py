"""What the registry loads for a store of type `s3`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.contract import CONTRACT_VERSION, Plugin, StorageAdapter
from adapters.s3.adapter import S3Adapter
from adapters.s3.settings import S3Settings


def build(name: str, settings: S3Settings, tools: Mapping[str, Any]) -> StorageAdapter:
    del tools
    return S3Adapter(name, settings)


PLUGIN = Plugin(type_name="s3", contract_version=CONTRACT_VERSION, settings=S3Settings, build=build)
