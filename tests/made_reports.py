"""Reports of searches that nobody ran: as many trials and languages as a test asks for."""

from xa_search.records import StoppedAt
from xa_search.records.report import (
    Confusion,
    CostParts,
    Example,
    LanguageScores,
    Measured,
    Mistakes,
    NextCommand,
    ReportedParameter,
    ReportedTrial,
    SearchReport,
    WeakLanguage,
)

METRICS = {"intent_accuracy": "intent accuracy", "slot_f1": "slot F1", "exact_match": "exact match"}
TRIAL_METRICS = {"held_out_intent_acc": "held-out: intent accuracy", "held_out_slot_type_f1": "held-out: slot-type F1"}
TEXTS = {
    "th": ("ปลุก", "ฉัน", "ตอน", "เจ็ดโมง"),
    "hi": ("मुझे", "सात", "बजे", "जगाओ"),
    "ar": ("أيقظني", "في", "الساعة", "السابعة"),
    "ja": ("七時", "に", "起こして"),
}
SCRIPT = "<script>alert(1)</script>"


def made_report(
    trials: int = 12, targets: tuple[str, ...] = ("th", "hi", "ar", "ja"), name: str = "made-1234"
) -> SearchReport:
    """A search whose even trials were stopped early, but for the first, and whose trial 1 won."""
    rows = [
        LanguageScores(
            lang=lang,
            zero_shot=dict.fromkeys(METRICS, 50.0 + place),
            winner={metric: Measured(value=60.0 + place, low=58.0, high=62.5) for metric in METRICS},
            gain={metric: Measured(value=10.0, low=7.5, high=12.25) for metric in METRICS},
        )
        for place, lang in enumerate(("en", *targets, "mean"))
    ]
    return SearchReport(
        search_id=name,
        space=name.partition("-")[0],
        corpus="made",
        source="en",
        targets=targets,
        methods=("xeroalign",),
        selection="label_free",
        state="over",
        wanted=trials,
        sentences=("Asked: which setting is best.", "Found: trial 1.", "Gained: 10.0 points."),
        notes=("Intervals are 95%.",),
        winner=1,
        baseline=0,
        metrics=METRICS,
        languages=tuple(rows),
        trial_languages=("en", *targets),
        trial_metrics=TRIAL_METRICS,
        trials=tuple(_trial(number, targets) for number in range(trials)),
        rungs=(1, 3),
        parameters={
            "align_weight": ReportedParameter(low=0.1, high=100, log=True),
            "learning_rate": ReportedParameter(low=1e-6, high=1e-2, log=True),
            "model_size": ReportedParameter(choices=("small", "base")),
        },
        importances={"learning_rate": 0.7, "align_weight": 0.3},
        weakest=tuple(_weak(lang) for lang in targets[:3]),
        data=("pairs: th 1,100", "test hi: 2 rows dropped"),
        cost=CostParts(wall=100.0, parts={"training": 80.0, "tracking": 20.0}, summary="100 s of wall time"),
        commands=(NextCommand(purpose="Promote it", command="xa-search promote xa-search-made 3 --home '/a b'"),),
    )


def _trial(number: int, targets: tuple[str, ...]) -> ReportedTrial:
    is_stopped = number % 2 == 0 and number > 0
    scores = tuple(40.0 + number % 7 + epoch for epoch in range(3 if is_stopped else 10))
    return ReportedTrial(
        number=number,
        role="baseline" if number == 0 else "searched",
        state="PRUNED" if is_stopped else "COMPLETE",
        method="xeroalign" if number else "zero_shot",
        model_size="small",
        params={
            "align_weight": 0.1 * 1.03**number,
            "learning_rate": 1e-6 * 1.04**number,
            "model_size": "small" if number % 3 else "base",
        },
        score=max(scores),
        scores=scores,
        best_epoch=len(scores),
        epochs=len(scores),
        budget=10,
        seconds=12.5,
        stopped_at=StoppedAt(epoch=3, score=0.4, cutoff=0.5, rank=3, competitors=4) if is_stopped else None,
        ending="stopped early after epoch 3 of 10: its score lay below the cut-off" if is_stopped else "full budget",
        is_winner=number == 1,
        by_language={
            metric: (None, *(round(37.31 + (number * 7 + place * 3) % 50 + shift, 2) for place in range(len(targets))))
            for shift, metric in enumerate(TRIAL_METRICS)
        },
    )


def _weak(lang: str) -> WeakLanguage:
    words = (*TEXTS.get(lang, ("wake", "me", "at", "seven")), SCRIPT)
    outside = ("O",) * (len(words) - 2)
    example = Example(
        id="7",
        words=words,
        gold_intent="CREATE_ALARM",
        predicted_intent=f"GET_{SCRIPT}",
        gold_tags=("O", *outside, "B-DATE_TIME"),
        predicted_tags=(f"B-{SCRIPT}", f"I-{SCRIPT}", *outside[1:], "O"),
    )
    confusions = (Confusion(gold="CREATE_ALARM", predicted=f"GET_{SCRIPT}", count=4),)
    mistakes = Mistakes(utterances=40, wrong=12, intents=confusions, slots=confusions, examples=(example,) * 10)
    return WeakLanguage(lang=lang, score=31.25, mistakes=mistakes)
