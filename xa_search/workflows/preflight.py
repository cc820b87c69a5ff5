"""Everything that is checked before the first trial. In: a Plan. Out: the data, encoders and tables that trials need.

All faults that can be found are reported at once.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

from xa_search import __version__
from xa_search.corpora import Corpus, CorpusCheck, check_corpus, open_corpus
from xa_search.corpora.checks import told_pairs
from xa_search.corpora.dev_translations import dev_translations
from xa_search.corpora.lost_rows import refuse_losses, told_losses
from xa_search.encoding.store import encode_corpus
from xa_search.errors import DataError, UsageError, XaSearchError
from xa_search.model.encoder import encoder_directory, load_tokenizer, longest_input, prepare_encoder
from xa_search.model.registry import PAIR_LOSSES
from xa_search.model.sizes import resolve_size
from xa_search.records import (
    EncodedCorpus,
    EncoderFiles,
    Plan,
    TrialSettings,
)
from xa_search.records.trial import WEIGHT
from xa_search.search.budgets import encoder_bytes, folder_bytes, format_bytes, shared_bytes, trials_bytes
from xa_search.search.conditions import unread_settings
from xa_search.search.history import CODE
from xa_search.search.node_check import check_address, code_hash
from xa_search.search.resources import slots_here
from xa_search.tracking.store import check_access
from xa_search.training.progress import PROGRESS
from xa_search.training.registry import METHODS, learn_from_target_labels, selection_rule

ALLOW_PAIRS = "--set check_pairs=false"
TAKEN = "pairs taken all the same, by check_pairs: false: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What every trial of a search shares; `encoders` by model size, `encoded` and `tokenizers` by theirs.

    `fingerprint` is that of all raw files that the trials read.
    """

    corpus: Corpus
    check: CorpusCheck
    fingerprint: str
    encoders: dict[str, EncoderFiles]
    tokenizers: dict[str, Any]
    encoded: dict[str, EncodedCorpus]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedCorpus:
    """A corpus without faults that would end a search; trials read the targets' labels only if that is said here.

    `only` is what the one trial has, where there is no search.
    """

    corpus: Corpus
    check: CorpusCheck
    with_target_train: bool
    only: TrialSettings | None


def prepare_search(
    plan: Plan, sizes: tuple[str, ...], note: Callable[[str], None], *, only: TrialSettings | None = None
) -> Prepared:
    """Check and prepare the data that the plan's methods read, or the one trial with the settings `only`."""
    return prepare_checked(plan, check_search(plan, sizes, note, only=only), sizes, note)


def check_search(
    plan: Plan,
    sizes: tuple[str, ...],
    note: Callable[[str], None],
    download: Callable[[int, int | None], None] | None = None,
    trials: int = 1,
    reading: Callable[[int, int | None], None] | None = None,
    *,
    uri: str = "",
    only: TrialSettings | None = None,
) -> CheckedCorpus:
    """Check disk (for so many trials to come), tracker (at `uri`), model sizes, data. Raises all faults at once."""
    methods = plan.space.methods if only is None else (only.method,)
    with_target_train = learn_from_target_labels(methods)
    faults: list[XaSearchError] = []
    if plan.address is not None:
        _collect(faults, partial(check_address, plan.address))
    _collect(faults, lambda: note(_check_disk(plan, sizes, trials)))
    if away := _collect(faults, partial(check_access, uri)):
        note(away)
    for size in sizes:
        _collect(faults, partial(resolve_size, size))
    corpus = _collect(faults, lambda: open_plan_corpus(plan, download))
    check = None
    if corpus is not None:
        check = _collect(faults, lambda: _check_data(plan, corpus, reading))
        if check is not None:
            _collect(faults, partial(_tell_losses, check, plan, note))
        if check is None or not _paired(check) or (_unpaired(check) and plan.models_a_trial > 1):
            for lang in plan.space.targets:
                _collect(faults, partial(_first_translation, corpus, lang))
        else:
            _collect(faults, partial(_tell_pairs, check, plan, note))
        for lang in plan.space.targets if with_target_train else ():
            _collect(faults, partial(corpus.require, lang, "train"))
    _raise_all(faults)
    assert corpus is not None
    assert check is not None
    for name in unread_settings(plan.space) if only is None else ():
        note(f"params.{name}: not searched, as none of the methods {', '.join(plan.space.methods)} reads it")
    for line in check.notes:
        note(line)
    return CheckedCorpus(corpus=corpus, check=check, with_target_train=with_target_train, only=only)


def prepare_checked(
    plan: Plan, checked: CheckedCorpus, sizes: tuple[str, ...], note: Callable[[str], None]
) -> Prepared:
    """Load the encoders and encode the corpus. Raises all faults at once."""
    faults: list[XaSearchError] = []
    encoders = {size: _collect(faults, partial(prepare_encoder, size, plan.home)) for size in sizes}
    _raise_all(faults)
    for size, found in encoders.items():
        note(f"encoder {size}: {found.origin}, revision {found.revision}")
    for found in encoders.values():
        _collect(faults, partial(_check_length, plan, found))
    _raise_all(faults)
    tokenizers = {found.tokenizer_fingerprint: load_tokenizer(found.directory) for found in encoders.values()}
    corpus, with_target_train = checked.corpus, checked.with_target_train
    encoded = {name: _encoded(plan, checked, name, tokenizers[name]) for name in tokenizers}
    if not all(one.has_slots for one in encoded.values()):
        _check_without_slots(plan, checked.only)
    return Prepared(
        corpus=corpus,
        check=checked.check,
        fingerprint=corpus.fingerprint(with_target_train=with_target_train),
        encoders=encoders,
        tokenizers=tokenizers,
        encoded=encoded,
    )


def _raise_all(faults: list[XaSearchError]) -> None:
    if faults:
        raise type(faults[0])("\n".join(dict.fromkeys(str(fault) for fault in faults)))


def _check_without_slots(plan: Plan, only: TrialSettings | None) -> None:
    """Raise UsageError where a trial could get a loss that nothing but slots can teach."""
    methods = plan.space.methods if only is None else (only.method,)
    of_slots = [name for name, loss in PAIR_LOSSES.items() if loss.reads_slot_presence]
    for loss, method in product(of_slots, methods):
        weight = (only or plan.trial_settings({})).weights.get(loss, 0)
        searched = plan.space.params.get(f"{loss}{WEIGHT}") if only is None else None
        if searched is not None:
            weight = max((*((weight,) if searched.conditions else ()), *(searched.choices or (searched.high,))))
        if weight > 0 and METHODS[method].adds(loss):
            raise UsageError(
                f"{plan.space.corpus} has no slots, so that {method} cannot learn which an utterance has "
                f"({loss}{WEIGHT} is {weight:g}): --set fixed.{loss}{WEIGHT}=0"
            )


def _encoded(plan: Plan, checked: CheckedCorpus, fingerprint: str, tokenizer: Any) -> EncodedCorpus:
    corpus = checked.corpus
    return encode_corpus(
        corpus,
        tokenizer,
        fingerprint,
        max_tokens=plan.max_tokens,
        with_target_dev=selection_rule(plan.space.selection).reads_target_labels,
        with_target_train=checked.with_target_train,
        home=plan.home,
        train_limit=(checked.only or plan.trial_settings({})).train_limit,
        unpaired=_unpaired(checked.check),
        dev_translations=partial(dev_translations, corpus),
    )


def open_plan_corpus(plan: Plan, download: Callable[[int, int | None], None] | None = None) -> Corpus:
    """Open the corpus that a plan names."""
    space = plan.space
    return open_corpus(
        space.corpus,
        source=space.source,
        targets=space.targets,
        unseen_languages=space.unseen_languages,
        data=plan.data,
        home=plan.home,
        progress=download,
        translations=plan.translations,
        columns=space.columns,
        with_left_out=space.recipe is not None,
    )


def _check_length(plan: Plan, encoder: EncoderFiles) -> None:
    """Raise UsageError where the longest utterances would have more tokens than an encoder has positions for."""
    wanted, longest = plan.max_tokens, longest_input(encoder)
    if longest is not None and wanted > longest:
        raise UsageError(
            f"{plan.name}: fixed.max_tokens: {wanted}: the encoder {encoder.size} takes at most {longest} tokens; "
            f"--set fixed.max_tokens={longest}"
        )


def _collect(faults: list[XaSearchError], check: Callable[[], Any]) -> Any:
    try:
        return check()
    except XaSearchError as error:
        faults.append(error)
        return None


def check_test_splits(plan: Plan, corpus: Corpus, note: Callable[[str], None]) -> CorpusCheck:
    """Check what a chosen winner is tested on, and nothing has opened before. Raises DataError at too great losses."""
    _, *others = plan.space.tested_languages
    check = check_corpus(replace(corpus, targets=tuple(others)), ("test",), with_pairs=False)
    _tell_losses(check, plan, note)
    return check


def _tell_losses(check: CorpusCheck, plan: Plan, note: Callable[[str], None]) -> None:
    for line in told_losses(check):
        note(line)
    refuse_losses(check, plan.space.max_lost)


def _paired(check: CorpusCheck) -> tuple[str, ...]:
    return tuple(one.lang for one in check.translations if one.where)


def _unpaired(check: CorpusCheck) -> tuple[str, ...]:
    """Return the targets that have no file of translations."""
    return tuple(one.lang for one in check.translations if not one.where)


def _tell_pairs(check: CorpusCheck, plan: Plan, note: Callable[[str], None]) -> None:
    """Say how many pairs each target has. Raises DataError where pairs are joined wrongly, unless that is allowed."""
    note(told_pairs(check))
    for lang in _unpaired(check):
        note(
            f"no pairs: {lang} is left out of alignment, and tested all the same; `xa-search data translate` makes some"
        )
    faults = _pair_faults(check)
    if faults and plan.space.check_pairs:
        raise DataError("\n".join(f"{fault}; if they are right all the same: {ALLOW_PAIRS}" for fault in faults))
    for fault in faults:
        note(f"{TAKEN}{fault}")


def told_data(check: CorpusCheck, plan: Plan) -> tuple[str, ...]:
    """Return what a report says of the data that a search has read."""
    taken = () if plan.space.check_pairs else tuple(f"{TAKEN}{fault}" for fault in _pair_faults(check))
    return (told_pairs(check), *taken, *told_losses(check), *check.notes)


def _pair_faults(check: CorpusCheck) -> tuple[str, ...]:
    return tuple(one.fault for one in (*check.translations, *check.unseen_translations) if one.fault)


def _check_data(plan: Plan, corpus: Corpus, reading: Callable[[int, int | None], None] | None) -> CorpusCheck:
    return check_corpus(corpus, ("train", "dev"), reading, unseen_languages=plan.space.unseen_languages)


def _first_translation(corpus: Corpus, lang: str) -> None:
    """Raise DataError where a target has no translations at all."""
    next(corpus.translations(lang), None)


def _check_disk(plan: Plan, sizes: tuple[str, ...], trials: int) -> str:
    """Return what will come onto the disk. Raises DataError where that is more than is free, or than was allowed."""
    # On a cluster, only Ray will know how many run at a time; none begins there that finds no room.
    slots = 1 if plan.local or plan.address is not None else min(plan.space.concurrency, slots_here(plan.space))
    plan.home.mkdir(parents=True, exist_ok=True)
    encoders = sum(encoder_bytes(size) for size in sizes if encoder_directory(size, plan.home).exists())
    paused = sum(folder_bytes(path.parent) for path in plan.directory.glob(f"trials/*/{PROGRESS}"))
    models, space = plan.models_a_trial, plan.space
    at_end = (space.confirm.runs if space.confirm is not None else 0) + int(space.soup)
    whole = shared_bytes(sizes, models) + trials_bytes(sizes, trials + at_end, slots, models)
    free, needed = shutil.disk_usage(plan.home).free, whole - encoders - paused
    if free < needed:
        raise DataError(
            f"{plan.home}: {format_bytes(free)} free, the search needs about {format_bytes(needed)}; "
            "free some space, lower --trials, or choose another place with --home"
        )
    whole += folder_bytes(plan.directory) - paused
    if plan.disk_budget is not None and plan.disk_budget < whole:
        raise DataError(
            f"--disk-budget {format_bytes(plan.disk_budget)}: the search takes about {format_bytes(whole)} "
            f"in {plan.home}; raise it, lower --trials, or leave out the larger model sizes"
        )
    return f"disk: about {format_bytes(needed)} to come, {format_bytes(free)} free in {plan.home}"


def identity_of(prepared: Prepared) -> dict[str, str]:
    """Return what a search was begun with besides its plan, and has to go on with."""
    tokenizers = {f"tokenizer of {size}": found.tokenizer_fingerprint for size, found in prepared.encoders.items()}
    return {"corpus": prepared.fingerprint, "xa-search": __version__, CODE: code_hash(), **tokenizers}
