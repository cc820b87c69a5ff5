"""What a spool has told so far. In: its events, one by one. Out: what the next ones need to be applied."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from xa_search.tracking.events import EpochLogged, Event, SearchStarted, TrialEnded, TrialStarted
from xa_search.tracking.spool import SpooledEvent


@dataclass(slots=True)
class Told:
    """What the applied events have told, as far as the next ones need it."""

    starts: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    last_steps: dict[int, int] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    trials: set[int] = field(default_factory=set)

    def listen(self, event: Event, stamp: int) -> None:
        """Take in an applied event. A trial ends when it is first told to, though its test may be told later."""
        if isinstance(event, SearchStarted):
            self.starts += 1
            self.tags = event.tags
        elif isinstance(event, EpochLogged):
            self.last_steps[event.number] = max(event.step, self.last_steps.get(event.number, 0))
        elif isinstance(event, TrialStarted):
            self.trials.add(event.number)
            self.ends.pop(event.number, None)
        elif isinstance(event, TrialEnded):
            self.ends.setdefault(event.number, stamp)


def own_events(events: Iterable[SpooledEvent], search_id: str) -> list[SpooledEvent]:
    """Return the events of a search; those that follow the start of another one came with a copied spool."""
    own, is_own = [], True
    for spooled in events:
        if isinstance(spooled.event, SearchStarted):
            is_own = spooled.event.search_id == search_id
        if is_own:
            own.append(spooled)
    return own
