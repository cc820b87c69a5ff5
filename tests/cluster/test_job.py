"""A search as a job: the command and the space that travel are those of the plan; what makes no job is refused."""

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from xa_search.cli.main import app
from xa_search.cli.options import parse_duration, parse_size
from xa_search.cluster.job import command_of, run_on_cluster, write_space
from xa_search.cluster.tracker_variables import tracker_variables, unsent_secrets
from xa_search.errors import InfeasibleError, UsageError
from xa_search.workflows.plan import make_plan

CLUSTER = Path(__file__).resolve().parents[2] / "cluster"


def test_the_head_makes_the_same_plan_from_what_travels(tmp_path: Path) -> None:
    changes = ("trials=12", "fixed.epochs=3", "targets=[de]")
    options = {"time_budget": 5400.0, "disk_budget": 20 * 10**9, "gpu_hours": 8.5, "deterministic": True, "seed": 7}
    plan = make_plan("mtop-mini", changes, home=tmp_path, data=Path("/mnt/shared/it's mtop.zip"), **options)
    write_space(plan, tmp_path)
    python, dash_m, program, run, space, *words = shlex.split(command_of(plan))
    assert [python, dash_m, program, run] == ["python", "-m", "xa_search", "run"]
    given = dict(zip(words[::2], words[1::2], strict=False))
    assert words[-1] == "--deterministic"
    again = make_plan(
        str(tmp_path / space),
        home=tmp_path,
        data=Path(given["--data"]),
        seed=int(given["--seed"]),
        time_budget=parse_duration(given["--time-budget"]),
        disk_budget=parse_size(given["--disk-budget"]),
        gpu_hours=float(given["--gpu-hours"]),
        deterministic=True,
    )
    assert given["--address"] == "auto"
    assert again == plan
    assert again.search_id == plan.search_id


@pytest.mark.parametrize(
    ("file", "options", "message"),
    [
        ("kuberay.yaml", {}, "type `kubectl apply -f"),
        ("gpu.yaml", {"local": True}, "leave --local and --address out"),
        ("gpu.yaml", {"address": "auto"}, "leave --local and --address out"),
        ("gpu.yaml", {"data": Path("mtop.zip")}, "--data mtop.zip: with --cluster it is a path on the cluster"),
    ],
)
def test_what_makes_no_job_is_refused(file: str, options: dict[str, object], message: str, tmp_path: Path) -> None:
    plan = make_plan("mtop-mini", home=tmp_path, **options)
    with pytest.raises(UsageError, match=message):
        run_on_cluster(plan, CLUSTER / file, print)


def test_a_broken_cluster_file_is_refused_with_all_its_faults(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    text = (CLUSTER / "gpu.yaml").read_text(encoding="utf-8")
    file.write_text(text.replace("min_workers: 0", "min_workers: 1").replace("us-east-1a,", ""), encoding="utf-8")
    result = CliRunner().invoke(app, ["run", "mtop-mini", "--cluster", str(file)])
    assert isinstance(result.exception, UsageError)
    assert [line.split(": ")[1] for line in str(result.exception).splitlines()] == ["workers-from-zero"] * 2


def test_a_home_of_this_machine_is_refused(tmp_path: Path) -> None:
    command = ["run", "mtop-mini", "--home", str(tmp_path), "--cluster", str(CLUSTER / "gpu.yaml")]
    assert "state XA_SEARCH_HOME in" in str(CliRunner().invoke(app, command).exception)


def test_a_cluster_that_is_not_up_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:9")
    with pytest.raises(InfeasibleError, match=r"no jobs at http://127.0.0.1:9 \(.*\)"):
        run_on_cluster(make_plan("mtop-mini", home=tmp_path), CLUSTER / "gpu.yaml", print)


def test_the_job_logs_to_the_mlflow_of_who_submits_it() -> None:
    here = {"MLFLOW_TRACKING_URI": "https://mlflow.example.org", "MLFLOW_TRACKING_USERNAME": "anna", "HOME": "/home"}
    assert tracker_variables(here) == {name: here[name] for name in list(here)[:2]}
    assert tracker_variables({}) == {}
    assert unsent_secrets(here) == ""
    with_password = {**here, "MLFLOW_TRACKING_PASSWORD": "secret"}
    assert "secret" not in str(tracker_variables(with_password))
    assert unsent_secrets(with_password).startswith("MLFLOW_TRACKING_PASSWORD stays on this machine")


@pytest.mark.parametrize("uri", ["sqlite:///mine.db", "/home/anna/mlruns", "file:///mlruns"])
def test_a_file_of_this_machine_is_refused_as_tracker(uri: str) -> None:
    with pytest.raises(UsageError, match="would be looked for on the cluster"):
        tracker_variables({"MLFLOW_TRACKING_URI": uri})


def test_a_password_does_not_travel_with_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://anna:secret@mlflow.example.org")
    with pytest.raises(UsageError, match=r"MLFLOW_TRACKING_URI=https://mlflow\.example\.org: has a password") as caught:
        run_on_cluster(make_plan("mtop-mini", home=tmp_path), CLUSTER / "gpu.yaml", print)
    assert "secret" not in str(caught.value)
