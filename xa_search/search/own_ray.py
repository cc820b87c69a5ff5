"""This machine's own Ray. In: a Plan. Out: a Ray that starts beside other work.

Ray's processes end with the thread that started them, so that thread stays for as long as they are needed.
"""

import os
import threading
from types import TracebackType

from xa_search.records import Plan

RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Tune would wait for the end of each running epoch first, longer than whoever sends SIGTERM does.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


class OwnRay:
    """A Ray of this process, if the plan wants one. Leaving the context ends it."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._thread = threading.Thread(target=self._hold, name="ray", daemon=True)
        self._is_decided, self._is_needless = threading.Event(), threading.Event()
        self._error: Exception | None = None
        self._is_ours = False

    def __enter__(self) -> "OwnRay":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def begin(self) -> None:
        """Let Ray start, and return at once. Trials in this process or on a cluster need none."""
        if not (self._plan.local or self._plan.address or self._thread.ident):
            self._thread.start()

    def wait(self) -> None:
        """Wait until Ray is there, having begun it if nobody did. Raises what Ray raised."""
        self.begin()
        self._is_decided.wait()
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """End the Ray that was begun, and with it its processes."""
        if not self._thread.is_alive():
            return
        from xa_search.search.ray_runner import end_ray

        self._is_decided.wait()
        if self._is_ours:
            end_ray()
        self._is_needless.set()
        self._thread.join()

    def _hold(self) -> None:
        try:
            set_ray_defaults(self._plan)
            from xa_search.search.ray_runner import start_ray

            self._is_ours = start_ray()
        except Exception as error:
            self._error = error
        finally:
            self._is_decided.set()
        self._is_needless.wait()


def set_ray_defaults(plan: Plan) -> None:
    """Set Ray's defaults, which it reads when it is imported; what the user set stays."""
    for name, value in RAY_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if plan.address is None:
        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
