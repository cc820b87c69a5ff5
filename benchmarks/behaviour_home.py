"""What a finished search leaves in its home. In: the home's folder. Out: its files, their shapes, and what MLflow has.

It reads the files and the SQLite store by itself, without a line of the program that wrote them.
"""

import csv
import hashlib
import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from behaviour_text import normal_json, normal_lines, shape

TIMED_METRIC = re.compile(r"second|hour|per_|memory|_gb|busy|cpu|gpu|disk|share_|wall|cost|utilisation")
OWN_TAGS = ("mlflow.user", "mlflow.source.", "mlflow.log-model")
DIGESTED = (".safetensors", ".arrow", "tokenizer.json", "labels.json", "train.txt", "eval.txt", "test.txt")
SHIPPED_CODE = "/code/xa_search/"
Rows = list[dict[str, Any]]
Tables = Callable[[str], Rows]
"""The rows of a table of the store, by its name."""


def home_record(home: Path, places: Mapping[str, str]) -> dict[str, Any]:
    """Return the names of a home's files, the content of those that are the same in each run, the shapes of others."""
    files = [path for path in sorted(home.rglob("*")) if path.is_file() and SHIPPED_CODE not in str(path)]
    names = {path: _name(path, home) for path in files}
    shipped = any(SHIPPED_CODE in str(path) for path in home.rglob("*.py"))
    return {
        "files": sorted({*names.values(), *(["the package's own code, in the model"] if shipped else [])}),
        "sha256": {names[path]: sha256_of(path) for path in files if path.name.endswith(DIGESTED)},
        "shapes": {names[path]: found for path in files if (found := _shape_of(path)) is not None},
        "report": {
            names[path]: normal_lines(path.read_text(encoding="utf-8"), places)
            for path in files
            if path.name in ("report.md", "data_check.md", "requirements.txt")
        },
    }


def sha256_of(path: Path) -> str:
    """Return the digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def store_record(store: Path, places: Mapping[str, str]) -> dict[str, Any]:
    """Return tags, parameters and metrics of each run, and of each version of a registered model."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row

        def rows(table: str) -> Rows:
            return [dict(row) for row in connection.execute(f"select * from {table}")]

        record = {
            "experiments": sorted(row["name"] for row in rows("experiments")),
            "experiment tags": sorted(row["key"] for row in rows("experiment_tags")),
            "runs": dict(_runs(rows)),
            "logged models": [_logged_model(row, rows) for row in rows("logged_models")],
            "registered models": sorted(row["name"] for row in rows("registered_models")),
            "tags of registered models": {row["key"]: row["value"] for row in rows("registered_model_tags")},
            "aliases": {row["alias"]: f"{row['name']} {row['version']}" for row in rows("registered_model_aliases")},
            "versions": {f"{row['name']} {row['version']}": _version(row, rows) for row in rows("model_versions")},
        }
    found: dict[str, Any] = normal_json(record, places)
    return found


def _runs(rows: Tables) -> Iterator[tuple[str, dict[str, Any]]]:
    tags, params, metrics = rows("tags"), rows("params"), rows("metrics")
    names = {run["run_uuid"]: run["name"] for run in rows("runs")}
    for run in rows("runs"):
        own = {row["key"]: row["value"] for row in tags if row["run_uuid"] == run["run_uuid"]}
        parent = names.get(own.get("mlflow.parentRunId"))
        kind = "search run" if parent is None else f"trial run of {parent}"
        points = [row for row in metrics if row["run_uuid"] == run["run_uuid"]]
        yield (
            f"{kind}: {run['name']}",
            {
                "status": run["status"],
                "tags": _tags(own),
                "params": {row["key"]: row["value"] for row in params if row["run_uuid"] == run["run_uuid"]},
                "metrics": {name: _values(name, points) for name in sorted({row["key"] for row in points})},
            },
        )


def _values(name: str, points: Rows) -> list[str]:
    """Return a metric's steps, with its values unless they are times or sizes."""
    own = sorted((row["step"], row["timestamp"], row["value"]) for row in points if row["key"] == name)
    if TIMED_METRIC.search(name):
        return sorted({f"step {step}" for step, _, _ in own})
    return [f"step {step}: {value:.6g}" for step, _, value in own]


def _tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags by name, without the values of those that say who ran what on which machine."""
    return {key: "<...>" if key.startswith(OWN_TAGS) else value for key, value in sorted(tags.items())}


def _logged_model(model: Mapping[str, Any], rows: Tables) -> dict[str, Any]:
    def of(table: str, name: str) -> dict[str, Any]:
        return {row[name]: row.get("value", "") for row in rows(table) if row["model_id"] == model["model_id"]}

    metrics = of("logged_model_metrics", "metric_name")
    return {
        "name": model["name"],
        "type": model["model_type"],
        "tags": _tags(of("logged_model_tags", "tag_key")),
        "params": of("logged_model_params", "param_key"),
        "metrics": sorted(metrics),
    }


def _version(version: Mapping[str, Any], rows: Tables) -> dict[str, Any]:
    tags = {row["key"]: row["value"] for row in rows("model_version_tags") if row["version"] == version["version"]}
    told = {key: "<...>" if TIMED_METRIC.search(key) else value for key, value in tags.items()}
    return {"tags": _tags(told), "description": version["description"], "status": version["status"]}


def _name(path: Path, home: Path) -> str:
    """Return a file's place in the home; MLflow's own ids and what follows from paths and times are replaced."""
    name = re.sub(r"\b(m-)?[0-9a-f]{32}\b", r"\1<id>", path.relative_to(home).as_posix())
    return re.sub(r"\b(encoder|token-ids)-[0-9a-f]{16}\b", r"\1-<id>", name)


def _shape_of(path: Path) -> Any:
    """Return the shape of a file of JSON or of JSON lines, the columns of a table, the names that a study keeps."""
    if path.name == "study.journal":
        return _study_notes(path)
    if path.name == "spool.jsonl":
        return shape([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()])
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return next(csv.reader(file))
    if path.suffix == ".json" and not path.name.endswith(("tokenizer.json", "spool.applied.json")):
        return shape(json.loads(path.read_text(encoding="utf-8")))
    return None


def _study_notes(journal: Path) -> Any:
    """Return what a study's journal notes of the search and of its trials, by name."""
    notes: dict[str, Any] = {}
    for line in journal.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        kind = "trial" if "trial_id" in entry else "search"
        for key, value in entry.get("user_attr", {}).items():
            notes.setdefault(f"{kind}: {key}", []).append(value)
    return {key: shape(values) for key, values in sorted(notes.items())}
