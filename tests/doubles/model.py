"""What a host owes to everybody who asked: core-model §6, §8 and §9 as one small program that knows no code of ours.

It is told who asked for what, what people and issuers said since, what the issuers heard and whether anything is kept
down right now. It says what each case wants, what the public must find, and what may be said next.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MINUTE, DAY = 60_000_000, 86_400_000_000

FINAL = frozenset({"unavailable", "moved", "not_hosted", "refused", "restored", "withdrawn"})
GOES_DOWN = {"disabled", "failed"}
GOES_AWAY = {"review", "withdrawn", "restored"}
NEXT: dict[str, set[str]] = {
    "received": {"review", "preserved_live", "needs_information", "unavailable", "moved", "not_hosted"}
    | GOES_DOWN | GOES_AWAY,
    "review": {"review", "refused", "preserved_live", "needs_information", "unavailable"} | GOES_DOWN | GOES_AWAY,
    "preserved_live": {"preserved_live", "unavailable"} | GOES_DOWN | GOES_AWAY,
    "disabled": {"disabled", "removed", "reappeared"} | GOES_AWAY,
    "removed": {"removed", "reappeared"} | GOES_AWAY,
    "reappeared": {"reappeared"} | GOES_DOWN | GOES_AWAY,
    "failed": {"failed", "unavailable", "preserved_live", "reappeared", "refused"} | GOES_DOWN | GOES_AWAY,
    "needs_information": {"withdrawn", "review"},
    **{status: set() for status in FINAL},
}  # fmt: skip
"""Which word may follow which. What was said to be down is never said to have been absent all along."""


@dataclass(kw_only=True)
class Ask:
    """One item: one issuer asks for one thing about one URL. `now` and all times are microseconds."""

    issuer: str
    url: str
    act: str
    asked_at: int
    deadline_at: int | None = None
    rules: set[str] = field(default_factory=set)
    """What the settings said of it until it was looked at: `act`, `review`, `shadow`, `refuse`, `protected`."""
    approved: bool = False
    withdrawn: bool = False
    refused: bool = False
    released: bool = False
    proceeded: bool = False
    was_absent: bool = False
    """Whether the store held nothing there at any moment since it was asked."""
    told: list[tuple[str, str | None]] = field(default_factory=list)

    @property
    def status(self) -> str:
        return self.told[-1][0] if self.told else "received"

    @property
    def waits_for_person(self) -> bool:
        return self.status == "review" and not self.approved

    def wants_now(self, now: int) -> str:
        """§9: at its deadline, or by `proceed`, leaving it up turns into a removal."""
        over = self.proceeded or (self.deadline_at is not None and self.deadline_at <= now)
        return "remove" if self.act == "preserve_only" and over else self.act

    def stands(self, *, url_alone: bool) -> bool:
        """§6: approved, not withdrawn, not refused, not shadow; or in review, where the URL is denied meanwhile."""
        if self.withdrawn or self.refused or self.released or self.status in FINAL:
            return False
        return not self.waits_for_person or (url_alone and self.told[-1][1] != "shadow")

    def hears(self, status: str, reason: str | None) -> None:
        """Raises AssertionError where this may not be said now."""
        assert status in NEXT[self.status] or not self.told, f"{status} after {self.status}"
        was_down = {"disabled", "removed"} & {word for word, _ in self.told}
        licence = {
            "withdrawn": self.withdrawn,
            "refused": self.refused,
            "restored": self.withdrawn or self.released,
            "unavailable": self.was_absent and not was_down,
            "removed": "disabled" in was_down,
            "reappeared": bool(was_down),
            "preserved_live": self.act == "preserve_only" and not was_down,
            "disabled": self.approved or "act" in self.rules,
            "review": self.withdrawn or bool(self.rules - {"act"}),
        }
        assert licence.get(status, True), f"{status} ({reason}) is not so: {self}"
        self.told.append((status, reason))


@dataclass(kw_only=True)
class Hold:
    origin: str
    until_at: int | None = None
    released: bool = False

    def bars(self, now: int) -> bool:
        return not self.released and (self.until_at is None or self.until_at > now)


@dataclass(kw_only=True)
class Case:
    """One resource, or one URL behind which nothing can be told apart."""

    url_alone: bool
    asks: list[Ask] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    said: set[str] = field(default_factory=set)
    """`keep_up` and `take_down`, where people decided so."""
    acted: bool = False
    """Whether a gate or the store keeps something from the public for this case."""

    def standing(self) -> list[Ask]:
        return [ask for ask in self.asks if ask.stands(url_alone=self.url_alone)]

    def want(self, now: int, *, decide_minutes: int = 30) -> str:
        """§6, line by line."""
        removing = [ask for ask in self.standing() if ask.wants_now(now) != "preserve_only"]
        preserving = len(removing) < len(self.standing())
        if preserving and not self.acted and self._may_stay_up(removing, now, decide_minutes):
            return "leave"
        if removing:
            return "down"
        if preserving:
            return "leave"
        if self.acted:
            return "down" if self.is_held(now) else "up"
        return "none"

    def _may_stay_up(self, removing: list[Ask], now: int, decide_minutes: int) -> bool:
        """One asks to leave it up, another to take it down: people decide within the time; silence means down."""
        if not removing:
            return True
        if "take_down" in self.said:
            return False
        return "keep_up" in self.said or now < min(ask.asked_at for ask in removing) + decide_minutes * MINUTE

    def is_held(self, now: int) -> bool:
        return any(hold.bars(now) for hold in self.holds)

    def may_remove(self, now: int, *, held_since: int, days: int) -> bool:
        """§6: the customer's own copy may go."""
        keep = any(ask.act == "block_only" for ask in self.standing())
        return self.want(now) == "down" and not keep and not self.is_held(now) and now >= held_since + days * DAY

    def statuses(self, ask: Ask, now: int) -> set[str]:
        """What an item of this case may be at, once the world is quiet and everybody was heard."""
        if ask.status in FINAL:
            return {ask.status}
        wanted = self.want(now)
        if ask.withdrawn or ask.refused:
            return {"review"} if self.acted else set()
        if ask.released:
            return {"disabled", "removed", "failed"} if self.acted else set()
        if not ask.approved and "act" not in ask.rules:
            return {"review"}
        down = {"disabled", "removed"} if ask.approved or ask.rules == {"act"} else {"disabled", "removed", "review"}
        if wanted == "down" or self.acted:
            return down
        return {"preserved_live"} if ask.act == "preserve_only" else {ask.status}

    def visible(self, now: int) -> bool | None:
        """Whether the public must find what the customer put there; None: people have still to decide."""
        wanted = self.want(now)
        if wanted == "down" or (wanted == "leave" and self.acted):
            return False
        return None if self.acted else True
