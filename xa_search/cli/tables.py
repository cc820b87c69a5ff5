"""What a finished command shows. In: records. Out: tables and lines on standard output. Used by `cli` alone."""

import json
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xa_search.cli.display import percent, say, short
from xa_search.cli.light_tables import print_table
from xa_search.cli.options import is_default_home
from xa_search.errors import UsageError
from xa_search.records import EpochReport, Plan, SearchRecord, is_weight
from xa_search.records.search import MAX_LOST, TOO_FEW_TO_TELL
from xa_search.records.trial import ZERO_SHOT_ROLES
from xa_search.tracking.failure_regions import failure_regions
from xa_search.tracking.report import (
    COST_COLUMNS,
    HEADINGS,
    cost_rows,
    cost_summary,
    language_cells,
    language_rows,
    parts_of,
    trial_rows,
)
from xa_search.training.registry import method_of, selection_rule

if TYPE_CHECKING:
    from xa_search.corpora import CorpusCheck, CorpusStats
    from xa_search.workflows.evaluate import TransferTest
    from xa_search.workflows.run import SearchResult

ENDED = ("COMPLETE", "PRUNED", "FAIL")


def print_epoch(report: EpochReport) -> None:
    """Print the metrics of an epoch of a trial that runs alone."""
    say(f"epoch {report.epoch}: score {percent(report.score)}")
    print_metrics(report.metrics)


def print_metrics(metrics: Mapping[str, float]) -> None:
    """Print metrics by name."""
    for name, value in sorted(metrics.items()):
        say(f"  {name} {value:.4f}")


def read_json_object(text: str, option: str) -> dict[str, Any]:
    """Parse the JSON object given to an option. Raises UsageError."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(
            f'{option} {text!r}: not valid JSON ({error.msg} at {error.pos}); write {{"key": 1}}'
        ) from None
    if not isinstance(value, dict):
        raise UsageError(f'{option} {text!r}: not a JSON object; write {{"learning_rate": 2e-4}}')
    return value


def print_result(plan: Plan, result: "SearchResult") -> None:
    """Print what a search found: languages, trials, importances, the registered model and what to type next."""
    record = result.record
    if record.at_floor:
        say(f"no champion: {record.at_floor}")
    _print_languages(record)
    trial_columns = ["trial", "parameters", "state", "score", "best epoch", "epochs", "seconds"]
    shown = []
    for trial in trial_rows(record):
        unused = {"method", *filter(is_weight, trial.params)} if trial.role in ZERO_SHOT_ROLES else set()
        params = " ".join(f"{key}={short(value)}" for key, value in trial.params.items() if key not in unused)
        mark = "* " if trial.is_winner else ""
        score = "-" if trial.score is None else f"{trial.score:.1f}{' (floor)' if trial.at_floor else ''}"
        state = trial.failure or trial.state
        shown.append(
            [f"{mark}{trial.number} {trial.role}", params, state, score]
            + [str(trial.best_epoch or "-"), str(trial.epochs), f"{trial.seconds:.0f}"]
        )
    print_table(f"Trials by {record.selection} score", trial_columns, shown)
    _say_findings(record)
    print_table("Where the wall time went", COST_COLUMNS, cost_rows(result.cost))
    say(cost_summary(result.cost))
    _say_registration(plan, result)
    if result.budget:
        ended = sum(trial.state in ENDED for trial in record.trials)
        say(f"concluded after {ended} of {plan.space.all_trials} trials: {result.budget}")
        say("to extend it, type the same command again; a larger budget takes it further")


def _print_languages(record: SearchRecord) -> None:
    """Print a table for each metric: all of them side by side are too wide for a terminal."""
    rows = language_rows(record)
    parts = parts_of(rows)
    cells = [language_cells(row) for row in rows]
    zero_shot = record.no_baseline or f"zero-shot (trial {record.baseline})"
    for place, name in enumerate(rows[0].winner):
        own = slice(place * len(parts), (place + 1) * len(parts))
        print_table(
            f"Test scores in percent, {HEADINGS[name]}: winner (trial {record.winner}), {zero_shot}",
            ["language", *parts],
            [[row.label, *found[own]] for row, found in zip(rows, cells, strict=True)],
        )


def _say_findings(record: SearchRecord) -> None:
    for sentence in () if record.confirmation is None else record.confirmation.sentences:
        say(sentence)
    if record.soup is not None:
        say(record.soup.sentence)
    if record.fair_baseline is not None:
        say("fair: the winner's settings, seed and steps without alignment; the fair gain is over that")
    elif record.no_fair_baseline:
        say(record.no_fair_baseline)
    if record.baseline is not None and record.best_of_baselines:
        say(f"zero-shot: trial {record.baseline}, {record.best_of_baselines}")
    for floor in record.floors:
        say(f"without training: {floor.name}, selection score {percent(floor.score)}")
    if record.no_baseline:
        say(f"{record.no_baseline}; gains are told against nothing")
    if record.importances:
        parts = sorted(record.importances.items(), key=lambda item: -item[1])
        say("what mattered: " + ", ".join(f"{name} {percent(share)} %" for name, share in parts))
    else:
        say(f"what mattered: {TOO_FEW_TO_TELL}")
    for region in failure_regions(record.trials):
        say(str(region))
    if selection_rule(record.selection).reads_target_labels:
        say("not zero-shot: labelled target dev data chose the winner")
    winner = record.trial(record.winner).settings
    if method_of(winner).target_rows:
        say(f"not zero-shot: the winner learned from labelled target data, by method {winner.method}")
    if record.winner == record.baseline:
        say("the zero-shot trial itself scored best: in this search, no other setting was better")


def _say_registration(plan: Plan, result: "SearchResult") -> None:
    home = "" if is_default_home(plan.home) else f" --home {shlex.quote(str(plan.home))}"
    if not result.registrations:
        say(f"not registered: {result.tracking.problem or 'MLflow stopped answering'}")
        say(f"to register it, type the same command again: xa-search run {plan.name}{home}")
        return
    for registration in result.registrations:
        version = registration.version
        role = "champion" if registration.is_champion else "candidate"
        say(f"registered: {version.name} version {version.version}, {role}: {registration.reason}")
    say("next:")
    say(f"  xa-search ui{home}")
    model = version.name if registration.is_champion else f"{version.name}@candidate"
    say(f'  xa-search predict --model {model}{home} "wake me up at seven"')
    say(f"  xa-search promote {version.name} {version.version}{home}")


def print_corpus_check(check: "CorpusCheck") -> None:
    """Print rows, repairs, drops and unseen labels by split and language, and the first fault of each kind."""
    from xa_search.corpora.lost_rows import losses_above

    columns = ["split and language", "rows", "repaired", "dropped", "unseen intents", "unseen slot types"]
    rows = [
        [f"{split.split} {split.lang}", str(split.rows), str(split.repaired), str(split.dropped)]
        + [", ".join(split.unseen_intents) or "-", ", ".join(split.unseen_slot_types) or "-"]
        for split in check.splits
    ]
    print_table(f"{check.name}: source {check.source}", columns, rows)
    for split in check.splits:
        if split.converted:
            say(f"{split.split} {split.lang}: tags: {split.tags}, converted in {split.converted} rows")
        for fault in split.first_faults:
            count = split.reasons.get(fault.reason, 0)
            example = f", {fault.example!r}" if fault.example else ""
            say(f"{split.split} {split.lang}: {count} x {fault.meaning}; the first at {fault.where}{example}")
    for line in losses_above(check, MAX_LOST):
        say(f"a search refuses this: {line}")
    for note in check.notes:
        say(note)
    for translation in check.translations:
        where = f", {translation.where}" if translation.where else ""
        unread = "".join(f", {count} x {reason}" for reason, count in translation.unread.items())
        say(
            f"translations {translation.lang}: {translation.translations}, missing {translation.missing}{unread}{where}"
        )
        if translation.agreements:
            say(f"  {'; '.join(map(str, translation.agreements))}")
        if translation.fault:
            say(f"a search refuses this: {translation.fault}; or allow it by --set check_pairs=false")
    for split_name in dict.fromkeys(split_name for split_name, _ in check.absent):
        langs = [lang for absent, lang in check.absent if absent == split_name]
        say(f"no {split_name} file of {', '.join(langs)}")
    if ("train", check.source) in check.absent:
        say("which labels are unseen is not known: that takes a training set of the source")


def print_corpus_stats(stats: "CorpusStats") -> None:
    """Print sizes, lengths and labels by split and language."""
    columns = ["split and language", "utterances", "words", "words each", "intents", "slot types", "also in train"]
    rows = [
        [f"{split.split} {split.lang}", str(split.utterances), str(split.words), f"{split.mean_words:.1f}"]
        + [str(split.intents), str(split.slot_types), percent(split.share_in_train)]
        for split in stats.splits
    ]
    print_table(f"{stats.name}: share also in train in percent", columns, rows)
    for lang, pairs in stats.pairs.items():
        say(f"translations {lang}: {pairs}")


def print_transfer(model: str, test: "TransferTest") -> None:
    """Print the scores of a model on another corpus, by language, and what was left open."""
    columns = ["language", "rows", "left out", "intent accuracy", "slot F1", "exact match"]
    rows = [
        [score.lang, str(score.rows), str(score.left_out)]
        + [
            f"{percent(part.value)} [{percent(part.low)}, {percent(part.high)}]"
            for part in (score.intent_accuracy, score.slot_f1, score.exact_match)
        ]
        for score in test.languages
    ]
    if not test.has_slots:
        columns, rows = [*columns[:3], "accuracy"], [row[:4] for row in rows]
    print_table(f"{model} on {test.corpus}, test, percent, 95% intervals over utterances", columns, rows)
    for note in test.notes:
        say(note)
