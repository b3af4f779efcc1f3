"""What the alarms ask: whom we called about what, and what waits for people."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import func, select

from receiver.domain.status import ItemStatus
from receiver.store import tables
from receiver.store.database import Part


class AlarmQuestions(Part):
    def last_paged(self, kind: str) -> Mapping[str, tuple[int, bool]]:
        """By subject: when a person was last called about it, and whether nobody acknowledged that."""
        page = tables.page.c
        still_open = func.count() - func.count(page.acknowledged_at)
        query = select(page.subject, func.max(page.last_at), still_open).where(page.kind == kind).group_by(page.subject)
        with self._db.read() as conn:
            return {subject: (last_at, waiting > 0) for subject, last_at, waiting in conn.execute(query)}

    def waiting_in_review(self) -> Mapping[str, tuple[int, int]]:
        """By issuer: how many items wait for a reviewer, and when the newest began to."""
        item, notice = tables.item.c, tables.notice.c
        query = (
            select(notice.issuer, func.count(), func.max(item.status_at))
            .join(tables.notice, notice.id == item.notice)
            .where(item.status == ItemStatus.REVIEW.value)
            .group_by(notice.issuer)
        )
        with self._db.read() as conn:
            return {issuer: (count, newest_at) for issuer, count, newest_at in conn.execute(query)}
