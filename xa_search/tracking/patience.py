"""Dealing with an MLflow that is away. In: its errors. Out: how long to wait, whether to try again, and what to say."""

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
PERMANENT = {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE"}


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables, and put them back as they were."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def impatient() -> AbstractContextManager[None]:
    """Wait a few seconds for a server, not the minutes that MLflow would."""
    return environment(IMPATIENT)


def is_permanent(error: Exception) -> bool:
    """Tell whether a write can never succeed, however often it is tried again."""
    return isinstance(error, FileNotFoundError) or getattr(error, "error_code", None) in PERMANENT


def refusal(error: Exception) -> str:
    """Return why a server turns this program away, and what to do about it; empty where it does not."""
    code = getattr(error, "error_code", None)
    if code == "UNAUTHENTICATED":
        return "refuses this user and password; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    if code != "PERMISSION_DENIED":
        return ""
    if "Host header" in str(error):
        return "does not answer to this name; add it to its --allowed-hosts, or put one of them in MLFLOW_TRACKING_URI"
    return "does not let this user do that; ask for the permission, or set another MLFLOW_TRACKING_USERNAME"


def without_password(uri: str) -> str:
    """Return an address that may be shown."""
    return re.sub(r"//[^/@]*@", "//", uri)


def first_line(error: Exception) -> str:
    """Return what an error says, in one line that may be shown."""
    return without_password((str(error).strip() or type(error).__name__).splitlines()[0])[:200]
