"""The one place that picks concrete things: settings in, processes' parts out. Nothing else builds."""

from receiver.wiring.admin import build_admin
from receiver.wiring.parts import WiringError, build_adapters, build_ledger, build_store, build_vault
from receiver.wiring.web import build_web
from receiver.wiring.worker import BuiltWorker, build_tools, build_worker

__all__ = [
    "BuiltWorker",
    "WiringError",
    "build_adapters",
    "build_admin",
    "build_ledger",
    "build_store",
    "build_tools",
    "build_vault",
    "build_web",
    "build_worker",
]
