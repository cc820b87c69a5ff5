"""The registered models listed, and MLflow's UI. In: a home. Out: versions for a table, a command to run."""

import sys
from pathlib import Path

from xa_search.tracking import registry
from xa_search.tracking.store import tracking_uri


def registered_models(home: Path) -> tuple[registry.RegisteredVersion, ...]:
    """Return the registered models, the newest version of each first."""
    return registry.list_models(tracking_uri(home))


def mlflow_ui_command(home: Path, port: int) -> tuple[list[str], dict[str, str], str]:
    """Return the command that serves the MLflow UI, what its environment needs, and its address."""
    registry.list_models(tracking_uri(home))
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", tracking_uri(home)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return command, environment, f"http://127.0.0.1:{port}"
