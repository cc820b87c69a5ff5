"""Ray Tune's callbacks. In: what Tune asks and tells. Out: the same, asked of and told to the SearchController.

Nothing is decided here: Tune's searcher, scheduler, callback and stopper hand everything on.
"""

# ruff: noqa: ARG002 (Ray names the arguments of its callbacks)

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from xa_search.errors import InfeasibleError
from xa_search.search.controller import SearchController
from xa_search.search.failures import failure_of_lost_worker
from xa_search.search.ray_nodes import live_resources
from xa_search.search.resources import Placement, Resources, has_slot
from xa_search.search.trial_events import LEAST_SECONDS, EpochTimeout

EVENT, REFUSAL, NUMBER, JOB, TIMEOUT = "event", "refusal", "number", "job", "timeout"

BETWEEN_LOOKS = 2.0

Answer = TypeVar("Answer")


class Abandoned(BaseException):
    """Nobody waits for Tune any more. Were it an Exception, Tune would tidy up first, and wait for a Ray that died."""


class TuneBridge:
    """What ties Ray's callbacks to the controller: an error of ours ends the search instead of vanishing in Ray.

    Tune has a thread of its own. When that is abandoned, nothing of what it still does reaches the controller.
    """

    def __init__(self, controller: SearchController, placement: Placement, ahead: int) -> None:
        self.controller = controller
        self.placement = placement
        self.ahead = ahead
        """How many trials wait for a node: a cluster that grows has to see that one does."""
        self.slots: dict[str, int] = {}
        self.trials: dict[int, Trial] = {}
        self.fault: Exception | None = None
        self.is_abandoned = False
        self._lock = threading.Lock()

    def ask(self, call: Callable[[], Answer], otherwise: Answer) -> Answer:
        """Return the call's answer; keep its error and return `otherwise`, as when Tune is abandoned."""
        with self._lock:
            if self.is_abandoned:
                return otherwise
            try:
                return call()
            except Exception as error:
                self.fault = self.fault or error
                return otherwise

    def count_slots(self, nodes: list[Resources]) -> None:
        """Count again how many trials of a size may run: nodes come and go, and where all went, one waits."""
        self.slots = {size: max(1, count + self.ahead) for size, count in self.placement.slots(nodes).items()}

    def is_alone(self, number: int) -> bool:
        """Tell whether no other trial runs on a trial's node, as far as is known; one without a report is anywhere."""
        others = [self.trials[other] for other in self.controller.running if other != number and other in self.trials]
        own = self.trials[number].node_ip
        return all(other.node_ip is not None and other.node_ip != own for other in others)

    def abandon(self) -> None:
        """Let no call through any more; one that is under way ends first."""
        with self._lock:
            self.is_abandoned = True

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return object, ()


class StudySearcher(Searcher):
    """Lets Tune ask for trials. A trial is proposed when there is a slot for it: the later, the more is known."""

    def __init__(self, bridge: TuneBridge) -> None:
        super().__init__()
        self._bridge = bridge

    def suggest(self, trial_id: str) -> Any:
        """Return a trial to run; none for now; or that there will be no more."""
        return self._bridge.ask(self._suggest, Searcher.FINISHED)

    def _suggest(self) -> Any:
        controller, bridge = self._bridge.controller, self._bridge
        for number in controller.running:
            if number in bridge.trials and bridge.trials[number].is_finished():  # type: ignore[no-untyped-call]
                reason = _last_error(bridge.trials[number])
                controller.lost(number, failure_of_lost_worker(reason, alone=bridge.is_alone(number)))
        if not has_slot(bridge.slots, controller.running_sizes):
            return None
        given = controller.next_trial()
        if given is not None:
            record, job = given
            timed = controller.epoch_seconds(record)
            expected = bridge.placement.epoch_seconds.get(record.settings.model_size) if timed is None else timed
            timeout = EpochTimeout(epoch_seconds=expected, least=LEAST_SECONDS)
            return {NUMBER: record.number, JOB: bridge.placement.placed(job), TIMEOUT: timeout}
        return None if controller.running else Searcher.FINISHED

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        """Say that the slots decide how many trials run at a time."""
        return True

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Do nothing: the scheduler saw the last event, and `suggest` finds what ended without one."""

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the study is the truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: the study is the truth."""


class StudyScheduler(FIFOScheduler):
    """Hands every event to the controller and stops the trials that it ends."""

    def __init__(self, bridge: TuneBridge) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._bridge = bridge

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Remember which of Tune's trials runs which of ours."""
        self._bridge.trials[trial.config[NUMBER]] = trial

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Enter the event; the answer is whether the trial goes on."""
        resumed = self._bridge.ask(lambda: self._continues(trial.config[NUMBER], result), False)
        return self.CONTINUE if resumed else self.STOP

    def _continues(self, number: int, result: dict[str, Any]) -> bool:
        if REFUSAL in result:
            raise InfeasibleError(result[REFUSAL])
        return self._bridge.controller.handle_event(number, result[EVENT])


class StudyCallback(tune.Callback):
    """Tells the controller when a worker takes up a trial."""

    def __init__(self, bridge: TuneBridge) -> None:
        self._bridge = bridge

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Enter that the trial began."""
        self._bridge.ask(lambda: self._bridge.controller.started(trial.config[NUMBER]), None)


class StudyStopper(tune.Stopper):
    """Ends the search when the controller says so, when something of ours broke, or when no node is left."""

    def __init__(self, bridge: TuneBridge) -> None:
        self._bridge = bridge
        self._looked = time.monotonic()

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Never: the scheduler stops single trials."""
        return False

    def stop_all(self) -> bool:
        """Tell whether the whole search ends now. Raises Abandoned."""
        if self._bridge.is_abandoned:
            raise Abandoned
        now = time.monotonic()
        if now - self._looked >= BETWEEN_LOOKS:
            self._looked = now
            if not (nodes := live_resources()):  # Tune would wait for ever for a node to come back.
                self._bridge.controller.stop("Ray stopped running")
            self._bridge.count_slots(nodes)
        return self._bridge.fault is not None or self._bridge.controller.must_stop()


def _last_error(trial: Trial) -> str:
    return str(trial.get_pickled_error() or trial.get_error() or "the worker ended without an error message")
