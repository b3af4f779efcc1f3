"""What a receipt says of a block, in words fit for a page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rest:
    """What is known of names of the file that were not moved."""

    left: int
    searched: bool
    all_ours: bool
    """Every one of them was found in the customer's folder, so what is done to the file touches nobody else."""


def doors_of(others: int, *, frozen: bool, closed: bool) -> list[str]:
    doors = ["the file was moved out of the customer's folder"]
    if others:
        doors.append(f"{others} other name(s) of the same file were moved along")
    if closed:
        doors.append("the file was closed to everybody, by whatever name")
    if frozen:
        doors.append("the file was made immutable")
    return doors


def residual_of(rest: Rest, *, frozen: bool, closed: bool, strays: int) -> list[str]:
    residual = []
    if rest.left and closed:
        residual.append(
            f"{rest.left} other name(s) of the same file still stand in the customer's folder; nobody can read by them"
        )
    elif rest.left and rest.all_ours:
        residual.append(f"{rest.left} other name(s) of the same file were made meanwhile and stand")
    elif rest.left:
        residual.append(
            f"{rest.left} other name(s) of the same file stand outside the customer's folder and were not touched"
        )
        if not rest.searched:
            residual.append("the search for other names was stopped at its limit")
    if not frozen:
        residual.append("this filesystem or the agent's privileges allow no immutable flag")
    if strays:
        residual.append(f"{strays} file(s) swapped in during the block are held as well")
    return residual
