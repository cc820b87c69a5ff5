"""What a ready model answers in a second. In: a home with a registered model. Out: a printed table, and JSON.

    python benchmarks/serving.py --home HOME --work FOLDER --threads 1 2 \
        --out benchmarks/results/serving.json

Four ways to ask one model for the bundled corpus's test utterances: `xa-search serve` and `mlflow models serve` over
HTTP, ONNX in fp32 and in int8 in a process of its own. In each round every way is asked one after the other: latency by
one client that sends one text at a time, throughput by eight such clients, for ONNX by batches of 16 texts. Agreement
is the share of texts with the same intent, and with the same slots, as `xa-search predict` gives: to the servers in
the model's own precision, to ONNX in fp32.
"""

import argparse
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from statistics import quantiles
from typing import Any

import torch
from machine import describe_machine
from results_file import command_line, spread, write_json

from xa_search.corpora import open_corpus
from xa_search.tracking.address import tracking_uri
from xa_search.workflows.export_onnx import export_model_as_onnx
from xa_search.workflows.models import named_bundle

CLIENTS = 8
LANGUAGES = ("de", "es", "fr", "hi", "th")
WAYS = ("xa-search serve", "mlflow models serve", "onnx fp32", "onnx int8")
ONNX = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from model_onnx import OnnxModel
model = OnnxModel(threads=int(sys.argv[2]))
print("ready", flush=True)
for line in sys.stdin:
    texts = json.loads(line)
    start = time.perf_counter()
    answers = model.predict(texts)
    print(json.dumps([time.perf_counter() - start, answers]), flush=True)
"""
Ask = Callable[[list[str]], list[dict[str, Any]]]


def test_texts(home: Path, count: int) -> list[str]:
    corpus = open_corpus("mtop-mini", source="en", targets=LANGUAGES, data=None, home=home)
    rows = [islice(corpus.utterances(lang, "test"), count) for lang in ("en", *LANGUAGES)]
    return [" ".join(row.words) for of_lang in zip(*rows, strict=True) for row in of_lang][:count]


@contextlib.contextmanager
def running(command: list[str], variables: dict[str, str], log: Path) -> Iterator["subprocess.Popen[str]"]:
    with log.open("w") as errors:
        process = subprocess.Popen(
            command,
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextlib.contextmanager
def served(way: str, options: argparse.Namespace, threads: int) -> Iterator[Callable[[], Ask]]:
    """Start a server and give what makes a client of it; each keeps its connection."""
    port = free_port()
    variables = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    variables["MLFLOW_TRACKING_URI"] = tracking_uri(options.home)
    variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    if way == "xa-search serve":
        command = [sys.executable, "-m", "xa_search", "serve", options.model, "--port", str(port)]
        command += ["--threads", str(threads), "--home", str(options.home)]
    else:
        command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", f"models:/{options.model}"]
        command += ["--env-manager", "local", "--port", str(port), "--workers", "1"]

    def client() -> Ask:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def ask(texts: list[str]) -> list[dict[str, Any]]:
            body = json.dumps({"inputs": texts})
            connection.request("POST", "/invocations", body, {"content-type": "application/json"})
            found: list[dict[str, Any]] = json.loads(connection.getresponse().read())["predictions"]
            return found

        return ask

    with running(command, variables, options.work / "servers.log"):
        while True:
            with contextlib.suppress(OSError):
                client()(["ready"])
                break
            time.sleep(0.5)
        yield client


@contextlib.contextmanager
def onnx_process(folder: Path, threads: int, log: Path) -> Iterator[Callable[[], Ask]]:
    with running([sys.executable, "-c", ONNX, str(folder), str(threads)], {}, log) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        given, answered = process.stdin, process.stdout
        answered.readline()

        def ask(texts: list[str]) -> list[dict[str, Any]]:
            given.write(json.dumps(texts) + "\n")
            given.flush()
            found: list[dict[str, Any]] = json.loads(answered.readline())[1]
            return found

        yield lambda: ask


def measure(client: Callable[[], Ask], texts: list[str], seconds: float, *, at_once: bool) -> dict[str, float]:
    """Return the latency of one text at a time, in ms, and the texts a second of eight clients or of batches of 16."""
    ask = client()
    ask(texts[:16])
    times = []
    for text in texts:
        start = time.perf_counter()
        ask([text])
        times.append(1000 * (time.perf_counter() - start))
    cuts = quantiles(times, n=20, method="inclusive")
    begin = time.perf_counter()
    if at_once:

        def keep_asking(number: int) -> int:
            own, mine = client(), cycle(texts[number:] + texts[:number])
            count = 0
            while time.perf_counter() - begin < seconds:
                own([next(mine)])
                count += 1
            return count

        with ThreadPoolExecutor(CLIENTS) as clients:
            count = sum(clients.map(keep_asking, range(CLIENTS)))
    else:
        count, batches = 0, cycle([texts[start : start + 16] for start in range(0, len(texts) - 15, 16)])
        while time.perf_counter() - begin < seconds:
            count += len(ask(next(batches)))
    return {"p50_ms": cuts[9], "p95_ms": cuts[18], "texts_a_second": count / (time.perf_counter() - begin)}


def same(mine: dict[str, Any], other: dict[str, Any]) -> tuple[bool, bool]:
    slots = [[(one["slot"], one["start"], one["end"]) for one in answer["slots"]] for answer in (mine, other)]
    return mine["intent"] == other["intent"], slots[0] == slots[1]


def measure_all(options: argparse.Namespace) -> dict[str, Any]:
    folders = {"onnx fp32": options.work / "fp32", "onnx int8": options.work / "int8"}
    sizes = {}
    for way, folder in folders.items():
        if not folder.exists():
            export_model_as_onnx(options.home, options.model, folder, int8=way.endswith("int8"))
        sizes[way] = round(sum(path.stat().st_size for path in folder.glob("model.onnx*")) / 1e6, 1)
    bundle = named_bundle(options.home, options.model)
    texts = test_texts(options.home, options.texts)
    exact = replace(bundle, predictor=replace(bundle.predictor, precision="fp32"))
    expected = {way: (exact if way in folders else bundle).answer(texts) for way in WAYS}
    result: dict[str, Any] = {
        "command": command_line(),
        "machine": describe_machine(torch.device("cpu"), max(options.threads)),
        "model": {"size": bundle.settings.model_size, "precision": bundle.predictor.precision},
        "texts": len(texts),
        "megabytes": sizes,
        "agreement": {},
        "cells": [],
    }
    for threads in options.threads:
        rounds: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        with contextlib.ExitStack() as stack:
            clients = {way: stack.enter_context(served(way, options, threads)) for way in WAYS[:2]}
            for way, folder in folders.items():
                log = options.work / "servers.log"
                clients[way] = stack.enter_context(onnx_process(folder, threads, log))
            for way, client in clients.items():
                pairs = [same(*both) for both in zip(client()(texts), expected[way], strict=True)]
                shares = {
                    name: sum(one[part] for one in pairs) / len(pairs) for part, name in enumerate(("intent", "slots"))
                }
                result["agreement"][way] = {name: round(share, 4) for name, share in shares.items()}
            for _ in range(options.rounds):
                for way, client in clients.items():
                    found = measure(client, texts[: options.asked], options.seconds, at_once="serve" in way)
                    rounds[way].append(found)
        for way, found in rounds.items():
            cell = {name: spread([one[name] for one in found]) for name in found[0]}
            result["cells"].append({"way": way, "threads": threads, **cell})
            shown = "  ".join(
                f"{name} {value['median']:.1f} [{value['min']:.1f}, {value['max']:.1f}]" for name, value in cell.items()
            )
            print(f"{way:20s} {threads} threads  {shown}", flush=True)
        write_json(options.out, result)
    print(json.dumps(result["agreement"]))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--model", default="xa-search-mtop-mini@candidate")
    parser.add_argument("--work", type=Path, required=True, help="a folder for the exports, which stay there")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--texts", type=int, default=300, help="texts whose answers are compared")
    parser.add_argument("--asked", type=int, default=60, help="texts that are asked one at a time in a round")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each throughput")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    measure_all(parser.parse_args())


if __name__ == "__main__":
    main()
