"""A model looked into, before and after it learned. In: what it learned from, and the model. Out: an Inspection.

It reads the held-out source utterances that selection looks at, and their translations: no label, no test split.
"""

from dataclasses import dataclass, replace

from xa_search.encoding.store import DEV_TRANSLATIONS, TRANSLATIONS, table_path
from xa_search.encoding.table import EncodedTable
from xa_search.errors import DataError
from xa_search.model.encoder import load_encoder
from xa_search.records import EncodedCorpus, EncoderFiles, TrialSettings
from xa_search.training.data import trial_split
from xa_search.training.evaluation import Predictor
from xa_search.training.inspection import (
    LEAST_PAIRS,
    MEAN,
    Inspection,
    closer_by,
    compare_views,
    distinct_pairs,
    look_inside,
    pair_growth,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedModel:
    """A model by name, and what it learned from. `unseen` holds the translations into `unseen_languages`, which no
    trial was given.
    """

    name: str
    settings: TrialSettings
    encoder: EncoderFiles
    corpus: EncodedCorpus
    unseen: EncodedCorpus | None
    targets: tuple[str, ...]
    unseen_languages: tuple[str, ...]


def inspect_or_say(model: InspectedModel, predictor: Predictor) -> Inspection | str:
    """Look into a model, or say why there is nothing to look at: that is no reason to end without a registered one."""
    try:
        return inspect_model(model, predictor)
    except DataError as error:
        return str(error)


def inspect_model(model: InspectedModel, predictor: Predictor) -> Inspection:
    """Look into the encoder that a model began with, then into the model's own. Raises DataError without pairs."""
    encoded, unseen, settings = model.corpus, model.unseen, model.settings
    split = trial_split(encoded, settings)
    source = EncodedTable(table_path(encoded, split.origin, encoded.source))
    name = TRANSLATIONS if split.origin == "train" else DEV_TRANSLATIONS
    parts = [encoded] if unseen is None else [encoded, unseen]
    tables = {lang: table_path(found, name, lang) for found in parts for lang in found.aligned}
    pairs = {lang: distinct_pairs(source, split.selecting, EncodedTable(path)) for lang, path in tables.items()}
    pairs = {lang: found for lang, found in pairs.items() if len(found.sources) >= LEAST_PAIRS}
    if not pairs:
        raise DataError(
            f"{model.name}: no language has {LEAST_PAIRS} different held-out pairs; raise fixed.train_limit"
        )
    embedding, files = predictor.model.embedding, model.encoder
    pretrained = load_encoder(replace(files, embedding=embedding)).to(predictor.device)  # type: ignore[arg-type]
    before = look_inside(pretrained, embedding, predictor.collator, source, pairs)
    after = look_inside(predictor.model.encoder, embedding, predictor.collator, source, pairs)
    aligned = [lang for lang in pairs if lang in encoded.targets]
    groups = {lang: [lang] for lang in pairs} | ({MEAN: aligned} if aligned else {})
    without = [lang for lang in (*model.targets, *model.unseen_languages) if lang not in pairs]
    return Inspection(
        model=model.name,
        encoder=f"{files.size}, {files.origin}, revision {files.revision}",
        embedding=embedding,
        layers=compare_views(before, after, model.unseen_languages),
        growth={lang: pair_growth(before[lang], after[lang], pairs[lang]) for lang in aligned},
        closer={name: closer_by(before, after, pairs, languages) for name, languages in groups.items()},
        notes=tuple(f"{lang}: no {LEAST_PAIRS} different held-out pairs to look at" for lang in without),
    )
