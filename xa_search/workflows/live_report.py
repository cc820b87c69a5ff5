"""The page of a search while it runs. In: the folder of the search. Out: a page on the loopback address, read-only.

It is drawn from the search's files each time that it is asked for. It answers GET alone, and only who names it by its
loopback address: a page elsewhere cannot read it under a name of its own.
"""

import hashlib
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from xa_search.errors import XaSearchError
from xa_search.search.history import read_search
from xa_search.search.study import JOURNAL
from xa_search.tracking.page.drawing import draw_page
from xa_search.workflows.report_page import current_report
from xa_search.workflows.search_report import REPORT, REPORT_FILE

HOST = "127.0.0.1"


class LivePage:
    """A server of one search's page, on a port that was free."""

    def __init__(self, directory: Path) -> None:
        self._server = ThreadingHTTPServer((HOST, 0), partial(_Handler, directory))
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.port}/"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.server_close()

    def serve(self) -> None:
        """Answer until the process is interrupted, or `stop` is called from another thread."""
        self._server.serve_forever()

    def stop(self) -> None:
        """Let `serve` return."""
        self._server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    """Answers / with the page, /stamp with what changes when the search's files do, all else with 404."""

    def __init__(self, directory: Path, *arguments: Any) -> None:
        self._directory = directory
        super().__init__(*arguments)

    def do_GET(self) -> None:
        if self.headers.get("Host", "") not in self._names():
            self._answer(HTTPStatus.FORBIDDEN, "text/plain", "name this page by its loopback address")
        elif self.path == "/stamp":
            self._answer(HTTPStatus.OK, "text/plain", stamp_of(self._directory))
        elif self.path == "/":
            self._page()
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", "nothing is here; the page is at /")

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing of each request."""

    def _names(self) -> tuple[str, ...]:
        port = self.server.server_address[1]  # type: ignore[index]
        return f"{HOST}:{port}", f"localhost:{port}"

    def _page(self) -> None:
        search = read_search(self._directory)
        try:
            if search is None:
                raise XaSearchError(f"{self._directory} holds no trial yet, or its {JOURNAL} is damaged; load it again")
            self._answer(HTTPStatus.OK, "text/html", draw_page([current_report(search)], live=True))
        except XaSearchError as error:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", str(error))

    def _answer(self, status: HTTPStatus, kind: str, text: str) -> None:
        content = text.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)


def stamp_of(directory: Path) -> str:
    """Return what changes whenever a search has news: its journal grew, or its report was written."""
    search_files = (directory / JOURNAL, directory / REPORT / REPORT_FILE)
    parts = [f"{path.stat().st_size} {path.stat().st_mtime_ns}" for path in search_files if path.exists()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
