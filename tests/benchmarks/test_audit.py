"""The check of locked versions tells what is known from what was not asked."""

import json
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from audit import audit

FAULT = {"id": "PYSEC-1", "fixed_in": ["1.1"], "summary": "runs\nanything", "withdrawn": None}
SERVED = {
    "/good/1.0/json": {"vulnerabilities": []},
    "/bad/1.0/json": {"vulnerabilities": [FAULT, {**FAULT, "id": "PYSEC-2", "withdrawn": "2026-01-01"}]},
    "/silent/1.0/json": {"info": {}},
}


class Index(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = SERVED.get(self.path)
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture(scope="module")
def index() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        (["good"], 0, "0 known advisories for the 1 versions"),
        (["good", "bad"], 1, "bad 1.0: PYSEC-1; fixed in 1.1; runs anything\n1 known advisories for the 2 versions"),
        (["bad", "unknown", "good"], 3, "not checked: 2 of 3 versions; the index does not serve "),
        (["silent"], 3, "not checked: 1 of 1 versions"),
    ],
)
def test_what_is_known_is_told_from_what_was_not_asked(
    index: str, packages: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(index, dict.fromkeys(packages, "1.0")) == code
    assert said in capsys.readouterr().out
