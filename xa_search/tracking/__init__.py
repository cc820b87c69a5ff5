"""Tracking in MLflow: events, the spool, the tracker that writes, the registry, model bundles, the report, the plots.

store: the door to MLflow's runs. tracker: the one writer. reconcile: MLflow and the study brought together. bundle: a
model in a folder. registry: the door to the model registry. registration: the winner's way there; isolated_process:
where it is loaded back. served_model: what MLflow runs to answer. inspection_report: a look into a model.
calibration_report: how sure it says it is.

MLflow reads part of its environment when it is imported, so its defaults are set before any module here imports it;
what the user has set stays.
"""

import os

MLFLOW_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    # A server would send us to its artifact store, which mostly it alone can reach.
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
}

for _name, _value in MLFLOW_ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)
