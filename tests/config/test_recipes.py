"""The published recipe: the paper's settings by corpus, beneath what a space says itself, and a trial by them."""

from pathlib import Path

import pytest
from tiny_corpora import write_corpus

from xa_search.errors import UsageError
from xa_search.records import EpochReport, TrialSettings
from xa_search.search.sampler import recipe, settings_of
from xa_search.workflows.plan import make_plan
from xa_search.workflows.run import train_alone


def settings_of_role(space: str, *changes: str, role: str = "published") -> TrialSettings:
    plan = make_plan(space, ("recipe=published", *changes), home=Path("/nowhere"))
    return settings_of(plan, role, recipe(plan.space, role))


@pytest.mark.parametrize(
    ("space", "learning_rate", "epochs", "batch_size", "max_tokens"),
    [
        ("mtop", 2e-5, 10, 10, 70),
        ("mtod", 5e-6, 5, 10, 50),
        ("multiatis", 2e-5, 10, 10, 100),
        ("pawsx", 6e-6, 10, 4, 200),
    ],
)
def test_the_papers_settings_by_corpus(
    space: str, learning_rate: float, epochs: int, batch_size: int, max_tokens: int
) -> None:
    for role, method in (("published", "xeroalign"), ("baseline", "zero_shot")):
        found = settings_of_role(space, role=role)
        assert found.method == method
        assert (found.learning_rate, found.epochs) == (learning_rate, epochs)
        assert (found.batch_size, found.max_tokens) == (batch_size, max_tokens)
        assert (found.padding, found.pairing, found.embedding, found.warmup) == (
            "attended", "independent", "pooler", 0.3
        )  # fmt: skip
    assert settings_of_role(space).align_weight == 1


def test_what_a_space_says_itself_counts_and_what_it_inherits_does_not(tmp_path: Path) -> None:
    own = "recipe: published\ncorpus: mtod\ntargets: [es]\nfixed: {epochs: 2}\n"
    (tmp_path / "own.yaml").write_text(f"extends: mtop\n{own}params: {{batch_size: {{choices: [10, 20]}}}}\n")
    (tmp_path / "child.yaml").write_text("extends: own\ncorpus: multiatis\n")
    plan = make_plan(str(tmp_path / "own.yaml"), ("fixed.clip_norm=2",), home=tmp_path)
    fixed = plan.space.fixed
    assert (fixed["epochs"], fixed["max_tokens"], fixed["clip_norm"], fixed["dev_limit"]) == (2, 50, 2, 1000)
    assert "batch_size" not in fixed
    assert plan.space.published == {
        "align_weight": 1, "learning_rate": 5e-6, "batch_size": 10, "model_size": "large"
    }  # fmt: skip
    assert make_plan(str(tmp_path / "child.yaml"), home=tmp_path).space.fixed["max_tokens"] == 100
    assert settings_of_role("mtod", "fixed.epochs=1").epochs == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (("corpus=massive",), "recipe: published: the paper has no settings for massive; it has mtop, "),
        (("recipe=best",), "recipe: 'best' is unknown; there is published"),
        (("params.learning_rate={low: 1.0e-3, high: 1}",), "learning_rate: 2e-05 lies outside params"),
    ],
)
def test_what_the_recipe_cannot_do(changes: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        settings_of_role("mtop", *changes)


def test_a_trial_by_the_recipe_keeps_its_last_epoch(shared_home: Path, tmp_path: Path) -> None:
    (target,) = write_corpus("mtod", tmp_path)
    changes = (
        "recipe=published",
        f"targets=[{target}]",
        "fixed.validation_fraction=0.3",
        "fixed.epochs=2",
        "least_held_out=2",
    )
    plan = make_plan("mtod", changes, home=shared_home, data=tmp_path, local=True)
    reports: list[EpochReport] = []
    metrics = train_alone(plan, {"model_size": "tiny", "learning_rate": 1e-3}, reports.append, with_test=True)
    assert [(report.best_epoch, report.best_score) for report in reports] == [
        (report.epoch, report.score) for report in reports
    ]
    assert len(reports) == 2
    assert {f"test_slot_f1_merged_{lang}" for lang in ("en", target, "mean")} <= metrics.keys()
