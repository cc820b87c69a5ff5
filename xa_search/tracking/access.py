"""Whether an MLflow server lets us in. In: a tracking URI. Out: a note where it is away, an error where it refuses.

A server that is away costs a search only delay; one that refuses at the start would refuse the winner hours later.
"""

from urllib.parse import urlsplit

from xa_search.errors import TrackerRefusedError, XaSearchError
from xa_search.tracking.patience import impatient, without_password
from xa_search.tracking.store import EXPERIMENT, connect, plainly


def check_access(uri: str) -> str:
    """Return what to know of a server that cannot be asked now; else nothing. Raises TrackerRefusedError."""
    if urlsplit(uri).scheme not in ("http", "https"):
        return ""
    try:
        with plainly(uri), impatient():
            connect(uri).get_experiment_by_name(EXPERIMENT)
    except TrackerRefusedError:
        raise
    except XaSearchError:
        return f"MLflow at {without_password(uri)} does not answer now; what it should know waits until it does"
    return ""
