"""What a job on a cluster is told of MLflow. In: this machine's environment. Out: variables that may travel with a job.

Ray shows a job's variables to whoever may see its jobs, and writes them into its logs: no password is among them.
"""

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from xa_search.errors import UsageError
from xa_search.tracking.address import URI, without_password

USER = "MLFLOW_TRACKING_USERNAME"
SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


def tracker_variables(here: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables that a job gets; none where this machine names no MLflow: then the cluster's own count.

    Raises UsageError for a store that the cluster cannot see, and for an address with a password.
    """
    uri = here.get(URI, "")
    if not uri:
        return {}
    if urlsplit(uri).scheme in ("", "file", "sqlite"):
        raise UsageError(
            f"{URI}={uri}: with --cluster this file would be looked for on the cluster; name a server there, "
            f"or type `unset {URI}` to use what the cluster itself names"
        )
    if urlsplit(uri).password:
        raise UsageError(
            f"{URI}={without_password(uri)}: has a password, which Ray would show to all who see its jobs; leave it "
            f"out, and set {SECRETS[0]} in the cluster's own environment"
        )
    return {name: here[name] for name in (URI, USER) if here.get(name)}


def unsent_secrets(here: Mapping[str, str] = os.environ) -> str:
    """Return a line about what the cluster has to have by itself; empty where that is nothing."""
    kept = [name for name in SECRETS if here.get(name)]
    if not kept or not here.get(URI):
        return ""
    return f"{' and '.join(kept)} stays on this machine: the cluster needs its own, in its environment"
