"""The paper's claims on a small hand-made set of tested trials: every verdict, and why."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xa_search.claims.evidence import Evidence, Inside, gather
from xa_search.claims.statements import CLAIMS, LANGUAGES, Claim, Published, read_literature
from xa_search.claims.verdicts import Ruling, claim_cells, direction_of, judge, size_of, write_claims
from xa_search.errors import UsageError
from xa_search.records import TrialSettings
from xa_search.training.final_test import Outcomes, read_outcomes, write_outcomes
from xa_search.training.inspection import FINDINGS, INSPECTIONS, PairGrowth
from xa_search.training.statistics import Interval

sys.path.append(str(Path(__file__).parents[1] / "search"))

import fake_trainers
from searches import Recorder, job_maker, plan_of

ROWS = 400


def outcomes(intents: int, spans: int = 0, rows: int = ROWS, first: int = 0) -> Outcomes:
    """So many right intents, and so many right spans of one an utterance, all predicted."""
    right = np.arange(rows) < intents
    ones = np.ones(rows, dtype=np.int64)
    return Outcomes(
        ids=tuple(f"{first + number}" for number in range(rows)),
        intent=right,
        exact=right,
        correct=(np.arange(rows) < spans).astype(np.int64),
        found=ones,
        gold=ones,
    )


def a_trial(
    method: str,
    scores: dict[str, tuple[int, int]],
    corpus: str = "mtod",
    size: str = "small",
    seed: int = 1,
    inside: Inside | None = None,
    tried: int = 1,
    family: str = "",
    **settings: object,
) -> Evidence:
    return Evidence(
        search_id=f"{corpus}-{method}",
        corpus=corpus,
        targets=tuple(scores),
        source="en",
        selection="label_free",
        trial=3,
        score=0.5,
        settings=TrialSettings.model_validate({"method": method, "model_size": size, "seed": seed, **settings}),
        outcomes={lang: outcomes(*right) for lang, right in scores.items()},
        inside=inside,
        tried=tried,
        family=family,
    )


def mtod(method: str, intents: int, spans: int, **options: object) -> Evidence:
    return a_trial(method, {"es": (intents, spans), "th": (intents, spans)}, **options)  # type: ignore[arg-type]


def inside(*grown: float, after: float = 0.9) -> Inside:
    """Pairs that came closer by so much, in two languages."""
    growth = PairGrowth(rows=tuple(range(len(grown))), growth=grown)
    return Inside(growth={"es": growth, "th": growth}, before=0.8, after=after)


MTOD = (
    mtod("zero_shot", 330, 100, inside=inside(*[0.05, 0.15] * 20, after=0.85)),
    mtod("xeroalign", 360, 200, inside=inside(*[0.2, 0.4] * 20)),
    mtod("translate_train", 320, 190),
)


def claim(name: str) -> Claim:
    return next(one for one in CLAIMS if one.name == name)


def ruling(name: str, *evidence: Evidence, literature: tuple[Published, ...] = ()) -> Ruling:
    return judge(claim(name), evidence, literature)


def test_the_nine_claims_are_there_once_each_with_a_source() -> None:
    assert {one.name[0] for one in CLAIMS} == set("123456789")
    assert len({one.name for one in CLAIMS}) == len(CLAIMS)
    assert all(one.source.startswith("arXiv 2105.02472") and one.condition for one in CLAIMS)
    assert all(corpus in LANGUAGES for one in CLAIMS for corpus in one.corpora)


@pytest.mark.parametrize(
    ("name", "value", "why", "size"),
    [
        ("1a", 7.5, "the interval lies above 0", "the interval lies within 5 to 10 in part"),
        ("4a", 10.0, "the interval lies above 0", "the interval lies within 1.3 or more"),
        ("4b", 2.5, "the interval lies above 0", "the interval lies below 5 or more"),
        ("9", 0.2, "the interval lies above 0", ""),
    ],
)
def test_a_measured_claim(name: str, value: float, why: str, size: str) -> None:
    found = ruling(name, *MTOD)
    assert found.value is not None
    assert found.value.value == pytest.approx(value)
    assert found.value.low < value < found.value.high
    assert (found.verdict, found.why, found.size_why) == ("holds", why, size)
    assert "trial 3 of mtod-xeroalign" in found.measured[0]


def test_closeness_is_held_against_the_model_that_was_not_aligned() -> None:
    """Zero-shot brings translations closer, too: an aligned model that does no more shows nothing."""
    found = ruling("9", *MTOD)
    assert found.measured[1:] == (
        "xeroalign finds 90.0% of the translations, 80.0% before it learned",
        "zero_shot finds 85.0% of the translations, 80.0% before it learned",
    )
    same = replace(MTOD[1], inside=MTOD[0].inside)
    assert ruling("9", MTOD[0], same).verdict == "undecided"
    alone = ruling("9", replace(MTOD[0], inside=None), MTOD[1])
    assert (alone.verdict, alone.why) == ("not measured", "not inspected: xa-search inspect mtod-zero_shot --trial 3")


def test_only_equal_budgets_or_one_search_are_compared() -> None:
    """600 rows and 1 epoch against all rows and 20 epochs is no comparison of methods."""
    short = mtod("translate_train", 320, 190, family="a", train_limit=600, epochs=1)
    long = mtod("xeroalign", 360, 200, family="b", epochs=20, tried=4)
    found = ruling("4a", short, long)
    assert found.verdict == "not measured"
    assert "xeroalign small (all rows, 20 epochs, best of 4 by label_free; seed 1)" in found.why
    assert "translate_train small (600 rows, 1 epochs, best of 1 by label_free; seed 1)" in found.why
    equal = mtod("translate_train", 320, 190, family="a", epochs=20, tried=4)
    assert ruling("4a", equal, long).verdict == "holds"
    one_search = replace(short, family="b")
    found = ruling("4a", one_search, long)
    assert found.verdict == "holds"
    assert "mtod: trials tried: xeroalign 4, translate_train 1" in found.notes
    assert "mtod: 1, 20 epochs, the paper's are 5" in found.notes


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("1b", "mtod: not tested in es, th: xeroalign base, zero_shot large, xeroalign large, zero_shot base"),
        ("2a", "no finished search on mtop"),
        ("5a", "mtod: not tested in es, th: xeroalign base, xeroalign large"),
        ("6", "no finished search on mtop; mtod: not tested in es, th: target small; no finished search on multiatis"),
        ("7c", "no finished search on pawsx"),
        ("8a", "the published intent score of VECO on pawsx is not given: --literature FILE"),
    ],
)
def test_no_verdict_without_a_measurement(name: str, why: str) -> None:
    found = ruling(name, *MTOD)
    assert (found.verdict, found.value, found.measured) == ("not measured", None, ())
    assert why in found.why


def test_what_differs_from_the_paper_is_said() -> None:
    found = ruling("1a", *MTOD)
    assert found.notes == (
        "size small, the paper's is large",
        "mtod: 10 epochs, the paper's are 5",
        "mtod: trials tried: xeroalign 1, zero_shot 1",
        "one model for all targets, the paper has one a target",
        "trials chosen by label_free, epoch best; the paper's is the last",
        "mtod: machine translations",
        "without mtop, multiatis",
        "one seed: the interval is of the test set alone",
    )
    assert "mtod, 800 utterances in es, th: xeroalign small 90.0" in found.measured[0]


def test_an_interval_that_holds_both_leaves_a_claim_undecided() -> None:
    found = ruling("4a", mtod("xeroalign", 330, 0), mtod("translate_train", 320, 0, size="small"))
    assert found.verdict == "holds"  # the same utterances but ten: as paired answers, a sure difference
    other = mtod("translate_train", 320, 0)
    shuffled = {lang: _backwards(one) for lang, one in other.outcomes.items()}
    unpaired = replace(other, outcomes=shuffled)
    found = ruling("4a", mtod("xeroalign", 330, 0), unpaired)
    assert found.verdict == "undecided"
    assert found.why == "the interval has 0 inside"
    assert (found.size, found.size_why) == ("undecided", "the interval lies within 1.3 or more in part")


def _backwards(one: Outcomes) -> Outcomes:
    return replace(one, intent=one.intent[::-1])


def test_a_language_that_was_held_out_is_no_target() -> None:
    held_out = a_trial("translate_train", {"es": (320, 190)})
    with_thai = {**held_out.outcomes, "th": outcomes(320, 190)}
    hidden = replace(held_out, outcomes=with_thai)
    assert ruling("4a", MTOD[1], hidden).why == "mtod: not tested in es, th: translate_train small"


def mtop(method: str, intents: int, size: str) -> Evidence:
    return a_trial(method, dict.fromkeys(LANGUAGES["mtop"], (intents, 0)), "mtop", size)


def test_the_best_baseline_counts_and_the_papers_size_comes_first() -> None:
    small = [mtop("xeroalign", 340, "small"), mtop("target", 300, "small"), mtop("translate_train", 280, "small")]
    large = [mtop("xeroalign", 360, "large"), mtop("target", 300, "large"), mtop("translate_train", 350, "large")]
    found = ruling("2a", *small, *large[:2])
    assert found.value is not None
    assert found.value.value == pytest.approx(10)
    assert "size small, the paper's is large" in found.notes
    found = ruling("2a", *small, *large)
    assert found.value is not None
    assert found.value.value == pytest.approx(2.5)
    found = ruling("2a", *small, *large, mtop("target_english", 356, "large"))
    assert found.value is not None
    assert found.value.value == pytest.approx(1)
    assert "size small, the paper's is large" not in found.notes


def test_seeds_are_averaged_and_utterances_that_one_was_not_tested_on_left_out() -> None:
    seeds = [mtod("xeroalign", intents, 0, seed=seed) for seed, intents in ((1, 360), (2, 320))]
    found = ruling("4a", *seeds, mtod("translate_train", 320, 0), mtod("translate_train", 320, 0, seed=2))
    assert found.value is not None
    assert found.value.value == pytest.approx(5.0)
    assert "2 seeds a system: the interval is of the test set alone" in found.notes
    found = ruling("4a", *seeds, mtod("translate_train", 320, 0))
    assert found.value is not None
    assert found.value.value == pytest.approx(10.0), "only of seed 1 are both there"
    shorter = mtod("translate_train", 0, 0)
    few = {lang: outcomes(100, 0, rows=100) for lang in shorter.outcomes}
    part = replace(shorter, outcomes=few)
    found = ruling("4a", mtod("xeroalign", 50, 0), part)
    assert found.value is not None
    assert found.value.value == pytest.approx(-50)
    assert "mtod, 200 utterances" in found.measured[0]


def test_an_interval_tells_of_another_seed_as_well() -> None:
    apart = [mtod("xeroalign", intents, 0, seed=seed) for seed, intents in ((1, 390), (2, 310), (3, 350))]
    steady = [mtod("translate_train", 350, 0, seed=seed) for seed in (1, 2, 3)]
    together = [mtod("translate_train", intents, 0, seed=seed) for seed, intents in ((1, 380), (2, 300), (3, 340))]
    of_seeds, of_utterances = ruling("4a", *apart, *steady).value, ruling("4a", *apart, *together).value
    assert of_seeds is not None
    assert of_seeds.low < -9
    assert of_seeds.high > 9
    assert of_utterances is not None
    assert of_utterances.low > 0


def test_published_scores_are_inputs(tmp_path: Path) -> None:
    path = tmp_path / "literature.yaml"
    path.write_text(
        "- {system: VECO, corpus: pawsx, metric: intent, value: 88, languages: [de, en], source: arXiv 1, table 2}\n"
    )
    with pytest.raises(UsageError, match="extra inputs"):
        read_literature(path)
    path.write_text(
        "- {system: VECO, corpus: pawsx, metric: intent, value: 88, languages: [de, en], source: 'arXiv 1, table 2'}\n"
    )
    aligned = a_trial("xeroalign", {"de": (360, 0), "fr": (0, 0)}, "pawsx")
    with_english = {**aligned.outcomes, "en": outcomes(380)}
    aligned = replace(aligned, outcomes=with_english)
    found = ruling("8a", aligned, literature=read_literature(path))
    assert found.value is not None
    assert found.value.value == pytest.approx((90 + 95) / 2 - 88)
    assert found.measured[1] == "VECO 88.0: arXiv 1, table 2"
    path.write_text(path.read_text() * 2)
    with pytest.raises(UsageError, match="VECO on pawsx, intent, is given twice"):
        read_literature(path)
    path.write_text("- {system: VECO")
    with pytest.raises(UsageError, match="not valid YAML"):
        read_literature(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_literature(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("name", "low", "high", "direction", "size"),
    [
        ("1a", 11, 12, "holds", "fails"),
        ("1a", 9, 12, "holds", "undecided"),
        ("1a", 6, 8, "holds", "holds"),
        ("1a", -1, 6, "undecided", "undecided"),
        ("1a", -2, -1, "fails", "fails"),
        ("5a", -0.4, 0.1, "holds", None),
        ("5a", -1, -0.6, "fails", None),
        ("6", -0.2, 0.1, "undecided", None),
        ("8b", -0.4, 0.4, "undecided", None),
        ("8b", -0.1, 0.4, "holds", None),
    ],
)
def test_verdicts(name: str, low: float, high: float, direction: str, size: str | None) -> None:
    found = Interval(value=(low + high) / 2, low=low, high=high)
    assert (direction_of(claim(name), found)[0], size_of(claim(name), found)[0]) == (direction, size)


ENDS = st.floats(-20, 20, allow_nan=False)


@given(st.sampled_from(CLAIMS), st.lists(ENDS, min_size=4, max_size=4).map(sorted))
def test_more_data_turns_no_verdict_round(one: Claim, ends: list[float]) -> None:
    """An interval within another one says the same, or what the other left open."""
    wide = Interval(value=ends[1], low=ends[0], high=ends[3])
    narrow = Interval(value=ends[1], low=ends[1], high=ends[2])
    for rule in (direction_of, size_of):
        before, after = rule(one, wide)[0], rule(one, narrow)[0]
        assert before in ("undecided", after)


def test_a_gain_that_was_shown_stays_shown() -> None:
    """2.6 against 5.0: with a wide interval it held, with a narrow one it failed."""
    for low, high in ((0.1, 5.0), (2.2, 3.0)):
        assert direction_of(claim("4b"), Interval(value=2.6, low=low, high=high))[0] == "holds"


def test_the_files_hold_the_same_rulings(tmp_path: Path) -> None:
    rulings = [judge(one, MTOD, ()) for one in CLAIMS]
    text, record = (path.read_text("utf-8") for path in write_claims(rulings, ("a remark",), tmp_path))
    assert all(f"| {' | '.join(claim_cells(one))} |" in text for one in rulings)
    rows = json.loads(record)["claims"]
    assert [row["claim"] for row in rows] == [one.name for one in CLAIMS]
    assert [row["verdict"] for row in rows] == [one.verdict for one in rulings]
    assert "a remark" in json.loads(record)["remarks"]
    assert "not what another training would give" in text
    assert [row["size"] for row in rows] == [one.size for one in rulings]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Path]:
    """Run a search of two trials, the zero-shot one and one of a method, and return its folder."""

    def run(method: str, **options: object) -> Path:
        from xa_search.search.runner import run_trials
        from xa_search.search.study import open_study

        space = {"corpus": "mtod", "targets": ["es", "th"], "method": method, "trials": 2}
        fixed = {"fixed": {"epochs": 1, "model_size": "small"}, "published": {"learning_rate": 2e-5}}
        params = {"params": {"learning_rate": {"low": 1e-6, "high": 1e-2, "log": True}}}
        plan = plan_of(tmp_path, **{"name": method, **space, **fixed, **params, **options})  # type: ignore[arg-type]
        run_trials(plan, open_study(plan), job_maker(plan), Recorder(), fake_trainers.rising)
        return plan.directory

    return run


def test_the_evidence_is_what_finished_searches_left(tmp_path: Path, run: Callable[..., Path]) -> None:
    from xa_search.search.history import read_search

    folders = [run("xeroalign"), run("translate_train"), run("target")]
    for folder, intents in zip(folders[:2], (360, 320), strict=True):
        for trial in ("0", "1"):
            right = {lang: outcomes(300 if trial == "0" else intents) for lang in ("en", "es", "th")}
            write_outcomes(right, folder / "trials" / trial)
    found = folders[0] / INSPECTIONS / "1" / FINDINGS
    found.parent.mkdir(parents=True)
    seen = {"growth": {"es": {"rows": [1, 2, 3], "growth": [0.4, 0.2, -0.3]}}}
    seen |= {"layers": [{"lang": "es", "before": {"retrieval": 0.5}, "after": {"retrieval": 0.6}}]}
    found.write_text(json.dumps(seen))
    plain = {**seen, "growth": {"es": {"rows": [1, 2, 3], "growth": [0.1, 0.1, 0.1]}}}
    (folders[0] / INSPECTIONS / "0").mkdir()
    (folders[0] / INSPECTIONS / "0" / FINDINGS).write_text(json.dumps(plain))
    searches = [search for folder in folders if (search := read_search(folder)) is not None]
    gathered = gather(searches)
    assert {(one.settings.method, one.corpus) for one in gathered.evidence} == {
        (method, "mtod") for method in ("zero_shot", "xeroalign", "translate_train")
    }
    assert len(gathered.gaps) == 2
    assert "the best trial of target, small, number 1, was never tested; type the same" in " ".join(gathered.gaps)
    assert ruling("4a", *gathered.evidence).verdict == "holds"
    undecided = ruling("9", *(replace(one, targets=("es",)) for one in gathered.evidence))
    assert undecided.verdict == "undecided"
    assert {one.tried for one in gathered.evidence} == {1}
    again = read_outcomes(folders[0] / "trials" / "1")["es"]
    assert again.intent.sum() == 360
    assert again.ids == outcomes(0).ids


def test_the_names_in_published_scores_are_cleaned(tmp_path: Path) -> None:
    path = tmp_path / "literature.yaml"
    one = "- {system: VE\u200bCO, corpus: 'pawsx\u00a0', metric: intent, value: 89, languages: [\ufeffde], source: s}"
    path.write_text(one, encoding="utf-8")
    (found,) = read_literature(path)
    assert (found.system, found.corpus, found.languages) == ("VECO", "pawsx", ("de",))
    path.write_text(f"{one}\n{one}".replace("\u200b", "", 1), encoding="utf-8")
    with pytest.raises(UsageError, match="given twice"):
        read_literature(path)
