"""What feedback runs say of a claim of this project's own. In: searches of a home. Out: rulings, none without a run.

The claim is docs/feedback.md's question: does feedback in many languages beat as much feedback in English? It holds
where the answer is `better`, and fails where it is `worse` or `equal within 0.5`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from xa_search.claims.statements import Claim, Comparison, Metric, System
from xa_search.claims.verdicts import Ruling, Verdict
from xa_search.search.history import SearchHistory
from xa_search.training.statistics import Interval

RESULT = Path("report") / "feedback.json"
"""What a feedback run leaves in its folder."""
COMPARE = Comparison(plus=(System(method="multilingual"),), minus=(System(method="english"),))
VERDICTS: dict[str, Verdict] = {
    "better": "holds",
    "worse": "fails",
    "equal within 0.5": "fails",
    "undecided": "undecided",
}
METRICS: tuple[tuple[str, Metric, str], ...] = (("a", "intent", "intents"), ("b", "slots", "slots"))


def feedback_rulings(searches: Sequence[SearchHistory]) -> tuple[Ruling, ...]:
    """Return the rulings of the feedback runs on these searches, or that are among them."""
    found = []
    for path in sorted({path for search in searches for path in _results(search)}):
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["answer"] is not None:
            found += [ruling for one in METRICS if (ruling := _ruling(*one, path.parent.parent.name, content))]
    return tuple(found)


def _results(search: SearchHistory) -> Iterator[Path]:
    for path in search.directory.parent.glob(f"*/{RESULT}"):
        reference = json.loads(path.read_text(encoding="utf-8"))["reference"]
        if path.parent.parent == search.directory or reference.startswith(f"{search.search_id}/"):
            yield path


def _ruling(letter: str, metric: Metric, words: str, run: str, content: Mapping[str, Any]) -> Ruling | None:
    answer = content["answer"]
    row = next((row for row in answer["rows"] if (row["language"], row["metric"]) == ("targets", metric)), None)
    if row is None or row["difference"] is None:
        return None
    verdict = row["difference"]["verdict"]
    scores = ", ".join(f"{arm} {score:.1f}" for arm, score in row["scores"].items())
    claim = Claim(
        name=f"S1{letter}",
        text=f"feedback in many languages beats as much feedback in English: {words}",
        condition="`xa-search feedback run`",
        metric=metric,
        compare=COMPARE,
        paper="-",
        corpora=(),
        source="docs/feedback.md",
    )
    return Ruling(
        claim=claim,
        value=Interval(**row["difference"]["interval"]),
        verdict=VERDICTS[verdict],
        why=verdict,
        measured=(f"{run}, on {content['reference']}: reference {row['reference']:.1f}, {scores}",),
        notes=(f"judged by {content['judged_by']}",),
    )
