"""The search: Optuna's proposals, early stopping, budgets, failures, and how trials run: here, or by Ray Tune.

study, sampler, trial_notes: Optuna; conditions: what a trial searches. controller: what happens to each trial;
early_stopping, budgets, failures: what it asks. feedback_study: the trials of a feedback run. registry: the rules of
early stopping that a search may name. trial_events: a trial from outside. runner: the loop; connection, ray_callbacks,
ray_nodes: Ray's part of it. resources, memory_profile, node_check: where a trial fits. full_disk: when nothing can be
written. end_tasks: what the end asks of the places where trials ran. driver: one driver a search. winner, history: what
was found.

Ray reads part of its environment when it is imported, so its defaults are set before any module here imports it; what
the user has set stays.
"""

import os

RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    # What Tune still asks once Ray is down would start another Ray, for which nobody waits.
    "RAY_ENABLE_AUTO_CONNECT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Tune would wait for the end of each running epoch first, longer than whoever sends SIGTERM does.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "600",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
RAY_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Lets the Ray that a process starts listen on the loopback address alone, as it does on macOS; `ray start` then joins
no cluster. A process that joins one is not concerned."""

for _name, _value in {**RAY_ENVIRONMENT, **RAY_LOOPBACK}.items():
    os.environ.setdefault(_name, _value)
