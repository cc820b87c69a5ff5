"""Tracking in MLflow: events, the spool, the tracker that writes, the registry, model bundles, the report, the plots.

address: where MLflow is. store: the door to its runs. tracker: the driver's way there, a spool and a thread that
drains it. news: what of an event is new. writer: events become runs. datasets: the corpus as MLflow's data sets.
moved_home: artifacts found where they lie now. copied_home: two homes with one search. reconcile: MLflow and the
study brought together. bundle: a model in a folder. registry: the door to the model registry; versions: what a
version is; local_registry: read without MLflow. registration: the winner's way there; champion: whether it becomes
that; registration_report: what became of it; isolated_process: where it is loaded back. model_card: what the winner
says of itself. served_model: what MLflow runs to answer. service: a model over HTTP; batching, served_requests: what
it is asked, and how much at a time. export, onnx_export: a model for people without this program. standalone,
standalone_onnx: what answers there. inspection_report: a look into a model. calibration_report: how sure it says it
is. comparison_report: what it is held against; confirmation_report: by fresh seeds. failure_regions: where settings
failed. page: the page of a search.

MLflow reads part of its environment when it is imported, so its defaults are set before any module here imports it;
what the user has set stays.
"""

import os
import tempfile
from pathlib import Path

MLFLOW_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    # A server would send us to its artifact store, which mostly it alone can reach.
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
    # MLflow's own values. They are there from the start, because the tracker's thread changes them while others read.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "120",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "7",
}

for _name, _value in MLFLOW_ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)

try:
    Path("~").expanduser()
except RuntimeError:  # a user without a home folder, as in a container: MLflow asks for one when it is imported
    os.environ["HOME"] = f"{tempfile.gettempdir()}/xa-search-{os.getuid()}"
