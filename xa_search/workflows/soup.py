"""A soup of trials. In: a search whose winner is chosen by its rule. Out: the mean of the best trials' weights, scored.

It is a candidate: only where the search's own rule scores it above the winner is it registered. It opens no test split.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from xa_search.encoding.files import write_whole
from xa_search.records import EncodedCorpus, Plan, TrialRecord
from xa_search.records.search import trial_directory
from xa_search.records.soup import Soup, soup_number
from xa_search.search.end_tasks import EndTasks
from xa_search.search.winner import complete_trials, in_gate, is_aligned
from xa_search.training.registry import SELECTION_RULES, method_of, one_model_a_target
from xa_search.training.selection import ROWS
from xa_search.training.soup import SoupScore, cook_soup
from xa_search.training.trial import all_weights, best_weights
from xa_search.workflows.preflight import Prepared
from xa_search.workflows.trials import make_trial_job, trained_job

SOUP = "soup.json"
LEAST_MEMBERS, MOST_MEMBERS = 2, 5
TOO_FEW = "fewer than two trials may be averaged: of one size, from the same heads, not told apart by `label_free`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooked:
    """A soup, and the run that its model is asked as."""

    soup: Soup
    run: TrialRecord


def cook(
    plan: Plan,
    prepared: Prepared,
    trials: Sequence[TrialRecord],
    winner: TrialRecord,
    tasks: EndTasks,
    note: Callable[[str], None],
) -> Cooked:
    """Average the winner with what may be averaged with it, and score that. What was cooked before is known."""
    corpus = trained_job(plan, prepared, winner).corpus
    members = _members(corpus, trials, winner)
    number = soup_number(winner.number)
    folder = trial_directory(plan.directory, number)
    known = _known(folder, _identity(members, winner))
    if known is None:  # else the weights of its members may be gone: they are not needed any more
        members = [one for one in members if all_weights(trial_directory(plan.directory, one.number))]
    soup = Soup(number=number, members=tuple(one.number for one in members), winner_score=winner.score or 0.0)
    if known is None and len(members) < LEAST_MEMBERS:
        known = TOO_FEW
    if known is None:
        job = make_trial_job(plan, prepared, trained_job(plan, prepared, winner).settings, number)
        weights = [best_weights(trial_directory(plan.directory, one.number)) for one in members]
        alone = [one.score or 0.0 for one in members]
        known = tasks.submit(winner.settings.model_size, cook_soup, job, weights, alone)()
        _keep(folder, _identity(members, winner), known)
    soup, metrics = _scored(soup, known)
    note(soup.sentence)
    run = TrialRecord(
        number=number,
        role="soup",
        settings=winner.settings,
        params=dict(winner.params),
        state="COMPLETE",
        scores=(soup.score,),
        best_epoch=winner.best_epoch,
        metrics={**metrics, "bf16": winner.metrics.get("bf16", 0.0)},
    )
    return Cooked(soup=soup, run=run)


def _identity(members: Sequence[TrialRecord], winner: TrialRecord) -> dict[str, object]:
    """Return what a soup is made of, as a file holds it."""
    return {"members": [one.number for one in members], "settings": winner.settings.model_dump(mode="json")}


def _known(folder: Path, identity: Mapping[str, object]) -> SoupScore | str | None:
    """Return what became of this soup before; none where it was never cooked, or its weights are gone."""
    try:
        kept = json.loads((folder / SOUP).read_text(encoding="utf-8"))
        found = kept["found"]
        if kept["of"] != identity or not (isinstance(found, str) or all_weights(folder)):
            return None
        return found if isinstance(found, str) else SoupScore(**found)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(folder: Path, identity: Mapping[str, object], found: SoupScore | str) -> None:
    content = json.dumps({"of": identity, "found": found if isinstance(found, str) else asdict(found)})
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / SOUP, lambda partial: partial.write_text(content, encoding="utf-8"))


def _scored(soup: Soup, found: SoupScore | str) -> tuple[Soup, dict[str, float]]:
    if isinstance(found, str):
        return replace(soup, refused=found), {}
    return replace(soup, score=found.score, half_way=found.half_way), dict(found.metrics)


def _members(corpus: EncodedCorpus, trials: Sequence[TrialRecord], winner: TrialRecord) -> list[TrialRecord]:
    """Return the winner and up to four others, the best first, that began as it did and lie within the gate.

    The zero-shot trial is never among them; where each target has a model of its own, nothing is.
    """
    like = [
        trial
        for trial in complete_trials(trials)
        if is_aligned(trial) and _beginning(trial) == _beginning(winner) and not one_model_a_target(trial.settings)
    ]
    rule = SELECTION_RULES["label_free"]
    inside = in_gate([(rule.score(trial.metrics, corpus), trial.metrics.get(ROWS, 0.0)) for trial in like])
    chosen = [trial for trial, is_in in zip(like, inside, strict=True) if is_in or trial.number == winner.number]
    if winner not in chosen:
        return []
    return [winner, *(trial for trial in chosen if trial != winner)][:MOST_MEMBERS]


def _beginning(trial: TrialRecord) -> tuple[object, ...]:
    """Return what two trials must share for their weights to be averaged: the encoder, the heads, what they read."""
    settings = trial.settings
    heads = settings.seed if settings.head_seed is None else settings.head_seed
    kind = (settings.model_size, settings.embedding, settings.models, settings.decoding, settings.max_tokens)
    return (*kind, settings.heads, heads, method_of(settings).target_rows)
