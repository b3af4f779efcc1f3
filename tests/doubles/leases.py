"""What a runner is told of its leases, where no heartbeat runs."""

from __future__ import annotations

from receiver.domain.rows import WorkRow


class Leases:
    """All is ours, in one term, until a test says something else."""

    def __init__(self) -> None:
        self.healthy, self.term = True, 0
        self.taken: set[str] = set()
        """Subjects that another worker has by now."""

    def fresh(self) -> bool:
        return self.healthy

    def holds(self, term: int) -> bool:
        return self.healthy and term == self.term

    def still_ours(self, row: WorkRow) -> bool:
        return row.subject not in self.taken

    def late_and_back(self, *taken: str) -> None:
        """The heartbeat was overdue, and came back; these were taken meanwhile."""
        self.term += 1
        self.taken |= set(taken)
