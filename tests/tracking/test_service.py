"""A model over HTTP: as `predict` answers, whatever comes at once, and in the form of MLflow's own server."""

import asyncio
import http.client
import json
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from mlflow.pyfunc.scoring_server import infer_and_parse_data

from xa_search.errors import UsageError
from xa_search.records import TrialJob
from xa_search.tracking.batching import Batcher, BusyError, Limits, TooLargeError
from xa_search.tracking.bundle import Bundle, load_bundle, write_bundle
from xa_search.tracking.served_requests import BadRequestError, values_of
from xa_search.workflows.serve import ServeRequest, listening_socket, serve

MakeTrial = Callable[..., tuple[TrialJob, Path]]
WORDS = ("clean", "the", "kitchen", "putze", "die", "Küche", "เปิดไฟในครัว", "電気をつけて", "झाड़ू", "wake", "7:30", "№")
SERVE = """
import sys
from pathlib import Path
from xa_search.tracking.batching import Limits
from xa_search.tracking.bundle import load_bundle
from xa_search.workflows import serve
serve.named_bundle = lambda *_: load_bundle(Path(sys.argv[1]))
serve.serve(
    serve.ServeRequest(home=Path("."), model=None, port=0, threads=1, threshold=0.0, limits=Limits(waiting=200)),
    lambda address: print(address, flush=True),
    print,
)
"""


@pytest.fixture(scope="module")
def folder(make_trial: MakeTrial, tmp_path_factory: pytest.TempPathFactory) -> Path:
    job, weights = make_trial(texts=None)
    bundle = tmp_path_factory.mktemp("served") / "bundle"
    write_bundle(job, weights, bundle, {"search_id": "rooms"})
    return bundle


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    return load_bundle(folder)


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    with subprocess.Popen([sys.executable, "-c", SERVE, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline().rpartition(":")[2])
        process.kill()


def ask(port: int, body: Any, path: str = "/invocations", **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    method = "POST" if path == "/invocations" else "GET"
    connection.request(
        method, path, sent if method == "POST" else None, {"content-type": "application/json", **headers}
    )
    answer = connection.getresponse()
    text = answer.read().decode()
    return answer.status, json.loads(text) if text.strip() else None


def texts_in_several_scripts(count: int) -> list[str]:
    chosen = random.Random(3)
    return [" ".join(chosen.choices(WORDS, k=chosen.randint(1, 9))) for _ in range(count)]


def close(found: Any, expected: Any) -> bool:
    """Rows of other lengths beside a row change the last digits of its probabilities, and nothing else."""
    plain = json.loads(json.dumps(expected))
    for mine, other in zip(found, plain, strict=True):
        for one, two in zip((mine, *mine.get("slots", ())), (other, *other.get("slots", ())), strict=True):
            for name in ("intent_probability", "probability"):
                assert one.pop(name, None) == pytest.approx(two.pop(name, None), abs=1e-4)
    return bool(found == plain)


def test_clients_at_once_get_what_predict_says(server: tuple[Any, int], bundle: Bundle) -> None:
    _, port = server
    texts = texts_in_several_scripts(80)
    pieces = [texts[start : start + size] for start, size in ((0, 1), (1, 1), (2, 5), (7, 30), (37, 1), (38, 42))]
    with ThreadPoolExecutor(len(pieces)) as clients:
        answers = list(clients.map(lambda piece: ask(port, {"inputs": piece}), pieces))
    assert [status for status, _ in answers] == [200] * len(pieces)
    assert close([one for _, answer in answers for one in answer["predictions"]], bundle.answer(texts))


def test_every_form_and_what_is_no_text(server: tuple[Any, int], bundle: Bundle) -> None:
    _, port = server
    rows = ["clean the kitchen", None, "", 5, ["a"], "putze die Küche"]
    forms = (
        {"inputs": rows},
        {"inputs": {"text": rows}},
        {"instances": rows},
        {"instances": [{"text": row} for row in rows]},
        {"dataframe_split": {"columns": ["text"], "data": [[row] for row in rows]}},
        {"dataframe_records": [{"text": row} for row in rows]},
    )
    for form in forms:
        status, answer = ask(port, form)
        assert status == 200
        assert close(answer["predictions"], bundle.answer(rows)), form
    for path, said in (("/ping", None), ("/health", None)):
        assert ask(port, b"", path) == (200, said)
    assert ask(port, b"", "/version")[1]["provenance"] == {"search_id": "rooms"}


def test_what_it_refuses_says_why(server: tuple[Any, int]) -> None:
    _, port = server
    assert ask(port, b"{")[0] == 400
    assert ask(port, {"inputs": ["a"], "instances": ["a"]})[1]["message"].endswith("dataframe_split, dataframe_records")
    assert ask(port, {"inputs": ["a"] * 201})[0] == 413
    assert ask(port, b"a,b", **{"content-type": "text/csv"})[0] == 415
    foreign = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    foreign.request("POST", "/invocations", b"{}", {"host": "elsewhere.example", "content-type": "application/json"})
    assert foreign.getresponse().status == 400


@dataclass
class SlowModel:
    """Answers each value by itself, notes what came together, and waits for `go`."""

    go: threading.Event = field(default_factory=threading.Event)
    batches: list[list[Any]] = field(default_factory=list)

    def answer(self, values: Sequence[Any]) -> list[dict[str, Any]]:
        self.go.wait(60)
        self.batches.append(list(values))
        if "bad" in values:
            raise ValueError("bad")
        return [{"value": value} for value in values]


def run_with(limits: Limits, story: Callable[[Batcher, SlowModel], Any]) -> SlowModel:
    model = SlowModel()

    async def main() -> None:
        with ThreadPoolExecutor(1) as thread:
            batcher = Batcher(model.answer, thread, limits)
            running = asyncio.create_task(batcher.run())
            await story(batcher, model)
            running.cancel()

    asyncio.run(main())
    return model


async def begun(batcher: Batcher, values: list[Any]) -> "asyncio.Task[Any]":
    task = asyncio.create_task(batcher.ask(values))
    await asyncio.sleep(0)
    return task


def test_what_comes_at_once_is_one_batch_and_too_much_is_refused() -> None:
    async def story(batcher: Batcher, model: SlowModel) -> None:
        first = [await begun(batcher, [number]) for number in range(3)]
        with pytest.raises(BusyError, match="3 texts wait, at most 4 may"):
            await batcher.ask(["a", "b"])
        with pytest.raises(TooLargeError, match="5 texts in one request"):
            await batcher.ask([0] * 5)
        gone = await begun(batcher, ["gone"])
        gone.cancel()
        model.go.set()
        assert [await one for one in first] == [[{"value": number}] for number in range(3)]

    assert run_with(Limits(batch=4, waiting=4), story).batches == [[0, 1, 2]]


def test_a_request_that_fails_fails_alone() -> None:
    async def story(batcher: Batcher, model: SlowModel) -> None:
        model.go.set()
        good, bad = await begun(batcher, ["good"]), await begun(batcher, ["bad"])
        assert await good == [{"value": "good"}]
        with pytest.raises(ValueError, match="bad"):
            await bad

    run_with(Limits(), story)


def test_forms_are_read_as_mlflow_reads_them() -> None:
    bodies: tuple[Any, ...] = (
        {"dataframe_split": {"columns": ["text", "more"], "data": [["a", 1], ["b", 2]]}},
        {"dataframe_split": {"index": [4, 5], "columns": ["text"], "data": [["a"], ["b"]]}},
        {"dataframe_records": [{"text": "a", "more": 1}, {"more": 2, "text": "b"}]},
        {"instances": ["a", "b"]},
        {"inputs": ["a", "b"]},
    )
    for body in bodies:
        parsed = infer_and_parse_data(body)
        theirs = parsed.iloc[:, 0].tolist() if hasattr(parsed, "iloc") else list(parsed)
        assert values_of(json.dumps(body).encode()) == theirs == ["a", "b"]


@pytest.mark.parametrize(
    "body",
    [b"\xff", b"[]", b"[" * 100_000, b'{"inputs": "a"}', b'{"inputs": {}}', b'{"dataframe_split": []}',
     b'{"dataframe_split": {"data": [[]]}}', b'{"dataframe_records": [1]}', b'{"dataframe_records": [{}]}', b"{}"],
)  # fmt: skip
def test_what_is_in_no_form_is_one_line(body: bytes) -> None:
    with pytest.raises(BadRequestError) as caught:
        values_of(body)
    assert "\n" not in str(caught.value)


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        request = ServeRequest(
            home=tmp_path, model=None, port=taken.getsockname()[1], threads=1, threshold=0.0, limits=Limits()
        )
        with pytest.raises(UsageError, match=rf"port {request.port} of 127.0.0.1 cannot be had \(.*\); choose another"):
            serve(request, str, str)


def test_small_answers_are_sent_at_once() -> None:
    """asyncio sets TCP_NODELAY only where a socket names its protocol."""
    with listening_socket(0) as listening:
        assert listening.proto == socket.IPPROTO_TCP


def test_sigterm_ends_it(server: tuple["subprocess.Popen[str]", int]) -> None:
    process, _ = server
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == -signal.SIGTERM
