"""Every method on the bundled corpus, end to end with the tiny encoder."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any, get_args

import pytest

from xa_search.errors import DataError
from xa_search.plan import make_plan
from xa_search.preflight import Prepared, prepare_search
from xa_search.records import EpochReport, Method, Plan
from xa_search.run import train_alone
from xa_search.training.trial import train_trial
from xa_search.trial_jobs import make_trial_job, score_trial_on_test

SPACE = (
    "params.model_size.choices=[tiny]",
    "baseline=null",
    "published=null",
    "fixed={epochs: 1, batch_size: 32, train_limit: 100, dev_limit: 20, test_limit: 20, precision: fp32}",
    "targets=[de, th]",
)
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "cross_aligner": [{}, {"loss_weighting": "coefficient_of_variation"}, {"pairing": "independent"}],
}


@pytest.fixture(scope="module")
def prepared(shared_home: Path) -> tuple[Plan, Prepared]:
    methods = ", ".join(get_args(Method))
    plan = make_plan("mtop-mini", (*SPACE, f"params.method={{choices: [{methods}]}}"), home=shared_home, local=True)
    return plan, prepare_search(plan, ("tiny",), lambda _: None)


@pytest.mark.parametrize(
    ("method", "settings"), [(method, one) for method in get_args(Method) for one in SETTINGS.get(method, [{}])]
)
def test_a_method_trains_and_is_tested(
    prepared: tuple[Plan, Prepared], tmp_path: Path, method: str, settings: dict[str, Any]
) -> None:
    plan, data = prepared
    values = {"method": method, "model_size": "tiny", "learning_rate": 1e-3, "align_weight": 1.0, **settings}
    job = make_trial_job(plan, data, plan.trial_settings(values), f"{method}-{len(settings)}")
    (report,) = train_trial(job)
    assert report.final
    assert 0 <= report.score <= 1
    assert report.metrics["train_loss_total"] > 0
    metrics = score_trial_on_test(plan, data, job)
    assert {f"test_intent_acc_{lang}" for lang in ("en", "de", "th", "mean")} <= metrics.keys()


def test_a_trial_alone_may_have_another_method_than_its_space(shared_home: Path) -> None:
    plan = make_plan("mtop-mini", SPACE, home=shared_home, local=True)
    params = {"method": "target_english", "model_size": "tiny", "learning_rate": 1e-3, "align_weight": 1.0}
    reports: list[EpochReport] = []
    train_alone(plan, params, reports.append, with_test=False)
    assert [report.epoch for report in reports] == [1]


@pytest.mark.parametrize(("method", "fault"), [("xeroalign", ""), ("target", "jsonl has no train file of de")])
def test_only_target_methods_ask_for_labelled_target_training_files(
    shared_home: Path, tmp_path: Path, method: str, fault: str
) -> None:
    row = {"tokens": ["wake", "me"], "intent": "wake", "slots": ["O", "B-who"]}
    rows = "".join(json.dumps({"id": str(number), **row}) + "\n" for number in range(12))
    for name in ("train.en", "dev.en", "test.en", "test.de"):
        (tmp_path / f"{name}.jsonl").write_text(rows)
    texts = "".join(json.dumps({"id": str(number), "text": "weck mich"}) + "\n" for number in range(12))
    (tmp_path / "translations.de.jsonl").write_text(texts)
    changes = (*SPACE[:-1], "targets=[de]", "corpus=jsonl", f"method={method}")
    plan = make_plan("mtop-mini", changes, home=shared_home, data=tmp_path, local=True)
    with pytest.raises(DataError, match=fault) if fault else nullcontext():
        prepare_search(plan, ("tiny",), lambda _: None)
