"""The study of a feedback run. In: what it tries. Out: the trials of a search, in two parts that follow each other.

First the learning rate and beta are searched on the English arm, by the search's own selection; then each arm is
trained once for each seed with what was found, so that nothing but the arm differs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xa_search.records import TrialRecord, TrialRole, TrialSettings
from xa_search.records.feedback import Arm, FeedbackSettings
from xa_search.search.study import SearchStudy
from xa_search.search.trial_notes import Notes

TUNING_SEED = 0
"""The draw of utterances and judges that the search sees, and no arm after it."""
CELL = "cell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What a feedback run tries: so many trials on the tuning arm, then these arms with each of these seeds.

    `settings` makes those of a trial, of its arm, its seed and the values that are searched.
    """

    tuning: int
    tuning_arm: Arm
    cells: tuple[tuple[Arm, int], ...]
    settings: Callable[[Arm, int, Mapping[str, Any]], FeedbackSettings]

    @property
    def trials(self) -> int:
        """How many trials there are in all."""
        return self.tuning + len(self.cells)


class FeedbackStudy(SearchStudy):
    """A study whose first trials search, and whose later ones are the arms."""

    def __init__(self, stage: Stage, *study: Any) -> None:
        super().__init__(*study)
        self._stage = stage

    def _settings(self, role: TrialRole, proposal: Mapping[str, Any], notes: Notes) -> TrialSettings:
        if role != "arm":
            return self._stage.settings(self._stage.tuning_arm, TUNING_SEED, proposal)
        arm, seed = notes[CELL]
        return self._stage.settings(arm, seed, proposal)

    def _enqueue_missing_role(self, trials: Sequence[Any]) -> None:
        """Queue the next arm, once the search for its settings is over; one that failed is not tried again."""
        best = best_tuned(self.trials())
        if self.remaining(self._stage.tuning) or best is None:
            return
        begun = [tuple(trial.user_attrs[CELL]) for trial in trials if CELL in trial.user_attrs]
        missing = next((cell for cell in self._stage.cells if cell not in begun), None)
        if missing is not None:
            self._study.enqueue_trial(best.params, user_attrs={"role": "arm", CELL: list(missing)})


def best_tuned(trials: Sequence[TrialRecord]) -> TrialRecord | None:
    """Return the best trial of the search for the settings; of equal ones the earlier; none where none ended."""
    ended = [trial for trial in trials if trial.role != "arm" and trial.state == "COMPLETE" and trial.score is not None]
    return max(ended, key=lambda trial: (trial.score or 0.0, -trial.number), default=None)
