"""A model looked into, before and after it learned. In: a model or a search. Out: an Inspection, and its files.

It reads the held-out source utterances that selection looks at, and their translations: no label, no test split.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from xa_search.corpora.corpus import find_translations
from xa_search.corpora.dev_translations import dev_translations
from xa_search.encoding.store import encode_corpus
from xa_search.errors import ModelError, UsageError
from xa_search.model.encoder import tokenizer_fingerprint
from xa_search.records import EncodedCorpus, EncoderFiles, Plan, TrialSettings
from xa_search.search.history import SEARCHES, read_search
from xa_search.tracking.bundle import Bundle
from xa_search.training.final_test import trained_predictor
from xa_search.training.inspection import INSPECTIONS, Inspection
from xa_search.training.model_inspection import InspectedModel, inspect_model
from xa_search.workflows.evaluate import finished_trial, given_model
from xa_search.workflows.plan import make_plan
from xa_search.workflows.preflight import Prepared, prepare_search


def inspect_named(
    home: Path, name: str, trial: int | None, space: str | None, data: Path | None, note: Callable[[str], None]
) -> tuple[Inspection, Path]:
    """Look into a registered model, a bundle or a search's trial; return also the folder where its files belong.

    `space` and `data` say what a model learned from whose search is not in this home.
    """
    bundle = given_model(home, name, trial)
    if bundle is not None:
        if space is None and data is not None:
            raise UsageError(f"--data {data}: goes with --space, which says what the data is; add --space SPACE")
        plan = _plan_of(home, name, bundle, space, data)
        prepared = prepare_search(plan, (bundle.settings.model_size,), note)
        if tokenizer_fingerprint(bundle.tokenizer) not in prepared.encoded:
            raise ModelError(f"{name} splits text otherwise than its encoder {bundle.settings.model_size} does here")
        folder = home / INSPECTIONS / re.sub(r"[^\w.-]+", "-", name).strip("-")
        return inspect_model(inspected_model(plan, prepared, bundle.settings, name), bundle.predictor), folder
    if space is not None or data is not None:
        raise UsageError(f"{name} is a search, which knows its space and data; leave --space and --data out")
    found = finished_trial(home, name, trial, note)
    model = f"trial {found.number} of {found.plan.search_id}"
    inspected = inspected_model(found.plan, found.prepared, found.job.settings, model)
    inspection = inspect_model(inspected, trained_predictor(found.job, found.weights))
    return inspection, trial_inspection(found.plan, found.number)


def trial_inspection(plan: Plan, number: int) -> Path:
    """Return the folder of what was found inside a trial's model."""
    return plan.directory / INSPECTIONS / str(number)


def inspected_model(plan: Plan, prepared: Prepared, settings: TrialSettings, name: str) -> InspectedModel:
    """Return what is needed to look into a model of a search."""
    files = prepared.encoders[settings.model_size]
    return InspectedModel(
        name=name,
        settings=settings,
        encoder=files,
        corpus=prepared.encoded[files.tokenizer_fingerprint],
        unseen=_encode_unseen(plan, prepared, files) if plan.space.unseen_languages else None,
        targets=plan.space.targets,
        unseen_languages=plan.space.unseen_languages,
    )


def _encode_unseen(plan: Plan, prepared: Prepared, files: EncoderFiles) -> EncodedCorpus:
    """Encode the translations into unseen languages apart: trials are never given them."""
    corpus = prepared.corpus
    languages = tuple(lang for lang in plan.space.unseen_languages if find_translations(corpus, lang) is not None)
    return encode_corpus(
        replace(corpus, targets=languages),
        prepared.tokenizers[files.tokenizer_fingerprint],
        files.tokenizer_fingerprint,
        max_tokens=plan.max_tokens,
        with_target_dev=False,
        with_target_train=False,
        home=plan.home,
        train_limit=plan.trial_settings({}).train_limit,
        dev_translations=partial(dev_translations, corpus),
    )


def _plan_of(home: Path, name: str, bundle: Bundle, space: str | None, data: Path | None) -> Plan:
    """Return the plan of the search that made a model, or one of the space that is given."""
    if space is not None:
        return make_plan(space, home=home, data=data)
    search_id = bundle.provenance["search_id"]
    search = read_search(home / SEARCHES / search_id)
    if search is None or search.plan is None:
        raise UsageError(
            f"{name} was made by search {search_id}, which is not in {home}; say what it learned from: --space SPACE, "
            "and --data PATH where the corpus needs it"
        )
    return search.plan
