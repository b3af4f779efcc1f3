"""What tests of decisions begin with."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from receiver.services.admin_errors import StaffError


def both(first: Any, second: Any) -> list[Any]:
    """Two acts begun at the same moment; what each returned or raised."""
    start = Barrier(2)

    def run(act: Any) -> Any:
        start.wait()
        try:
            return act()
        except StaffError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        return [future.result() for future in [pool.submit(run, act) for act in (first, second)]]
