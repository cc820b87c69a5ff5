"""Where MLflow keeps what it is told. In: a home, the environment. Out: the store's address, and its SQLite file if it
is one; an address that may be shown.

A path in an address of SQLite is quoted as SQLAlchemy reads it, so that a folder may be called `a%20b` or `what?`.
"""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.engine import URL, make_url

from xa_search.encoding.files import file_system, is_network
from xa_search.errors import UsageError

SQLITE = "sqlite:///"
URI = "MLFLOW_TRACKING_URI"
DATABASE = "mlflow.db"
PASSWORD_FIELD = re.compile(r"\b(\w*(?:password|passwd|secret|token))=[^&\s'\")]+", re.IGNORECASE)


def tracking_uri(home: Path) -> str:
    """Return MLFLOW_TRACKING_URI, or else the SQLite file in the search home; a file's path is made absolute.

    Raises UsageError for an address of SQLite that is none, and for a path that cannot stand in one.
    """
    given = os.environ.get(URI)
    if not given:
        return sqlite_uri(home / DATABASE)
    database = database_of(given)
    return given if database is None else sqlite_uri(database)


def sqlite_uri(database: Path) -> str:
    """Return the address of a SQLite file, as it is where nothing in it needs a quote."""
    path = str(database.absolute().resolve())
    for uri in (f"{SQLITE}{path}", URL.create("sqlite", database=path).render_as_string()):
        if make_url(uri).database == path:
            return uri
    raise UsageError(f"{path}: the installed SQLAlchemy cannot name this path; give --home one without ? and %")


def database_of(uri: str) -> Path | None:
    """Return the file of a SQLite store; none for any other store."""
    if not uri.startswith(SQLITE):
        return None
    database = make_url(uri).database
    if not database:
        raise UsageError(f"{URI}={uri}: names no file; write {SQLITE}/FOLDER/{DATABASE}")
    return Path(database)


def is_server(uri: str) -> bool:
    """Tell whether MLflow is asked over HTTP."""
    return urlsplit(uri).scheme in ("http", "https")


def refuse_shared_sqlite(uri: str) -> None:
    """Raise UsageError for a SQLite file behind a network: its locks do not hold there, and what is written is lost."""
    database = database_of(uri)
    kind = "" if database is None else file_system(database.parent)
    if is_network(kind):
        raise UsageError(
            f"MLflow's SQLite file {database} would lie on a network file system ({kind}), where it gets damaged; "
            f"start an MLflow server (cluster/README.md) and set {URI}, or set it to {SQLITE}/ and a local path"
        )


def without_password(uri: str) -> str:
    """Return an address, or a text with addresses, that may be shown; a password may itself have an @ in it."""
    return PASSWORD_FIELD.sub(r"\1=...", re.sub(r"//[^/\s]*@", "//", uri))
