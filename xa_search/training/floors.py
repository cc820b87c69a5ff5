"""What every model must beat. In: a trial's job. Out: floors, scored as an epoch is, and on test splits.

The most frequent intent: it is said of every utterance, and no slot. The frozen encoder: heads are fitted to what it
gives before it learns anything (`probe`), with a strength that the source dev split chooses. The same with each target
moved to where the source lies, by their means, and by a rotation that the translations of training utterances give. A
trial that is not above the first two has learned nothing that is worth its training: `TrialRecord.at_floor`, while it
runs; of the winner and all floors `SearchRecord.at_floor`.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from xa_search.encoding.batches import Batch, sorted_batches
from xa_search.encoding.files import write_whole
from xa_search.encoding.locks import one_at_a_time
from xa_search.encoding.store import NO_TRANSLATION, TRANSLATIONS, table_path, translation_rows
from xa_search.encoding.table import EncodedRow, EncodedTable
from xa_search.model.decoding import SlotDecoder, transition_scores
from xa_search.model.encoder import load_encoder
from xa_search.model.joint import JointModel
from xa_search.model.language_maps import LanguageMap, centring, procrustes
from xa_search.records import FLOOR, OUTSIDE, EncodedCorpus, TrialJob
from xa_search.records.torn_files import tell_torn
from xa_search.training.data import (
    TaskRows,
    attended_padding,
    evaluation_collator,
    held_out_pairs,
    source_dev_rows,
    split_rows,
    trial_split,
)
from xa_search.training.dev_fit import fit_reading
from xa_search.training.device import trial_device, trial_precision
from xa_search.training.epoch_scores import Predict, Speak, epoch_metrics
from xa_search.training.evaluation import (
    TOKENS_A_BATCH,
    Prediction,
    Predictor,
    labelled_metrics,
    mean_over_targets,
)
from xa_search.training.probe import begin_with, probed_heads
from xa_search.training.registry import selection_rule

MOST_FREQUENT, FROZEN = "the most frequent intent", "the frozen encoder"
CENTRED, TURNED = "the frozen encoder, languages centred", "the frozen encoder, languages turned to the source"
PAIRS = 1000
"""So many translations a language are enough for its mean and its rotation."""
DRAW_SEED = 20041005
DECIDES_A_FLOOR = {
    "model_size",
    "embedding",
    "max_tokens",
    "padding",
    "decoding",
    "precision",
    "validation_fraction",
    "train_limit",
    "dev_limit",
}
"""The settings that what takes no training depends on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """A model without training: what it predicts by language, and its metrics, which are named as an epoch's."""

    name: str
    speak: Speak
    metrics: dict[str, float]

    def score(self, selection: str, corpus: EncodedCorpus) -> float:
        """Return its selection score."""
        return selection_rule(selection).score(self.metrics, corpus)


class MovedModel(JointModel):
    """A joint model that moves what its encoder says of a language to where the source lies, before the heads.

    `sentence_map` and `word_map` are those of the language that is asked at the moment; none moves nothing.
    """

    sentence_map: LanguageMap | None = None
    word_map: LanguageMap | None = None

    def embed(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the heads read."""
        sentence, words = super().embed(batch)
        return (
            sentence if self.sentence_map is None else self.sentence_map(sentence),
            words if self.word_map is None else self.word_map(words),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageMaps:
    """How a target's sentence embeddings are moved, by centring and by turning, and its words', by centring."""

    centred: LanguageMap
    turned: LanguageMap
    words: LanguageMap


def known_floor(job: TrialJob) -> dict[str, float]:
    """Return the selection score of the higher floor, as a metric of each epoch; nothing for a trial of no search.

    The first trial that needs it measures it, and the search's folder keeps it for all others. It does not wait for the
    floors that move languages.
    """
    if job.search is None:
        return {}
    settings = job.settings.model_dump(mode="json", include=DECIDES_A_FLOOR)
    decisive = [settings, job.selection, job.corpus.directory.name, job.corpus.targets, job.corpus.aligned]
    key = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:12]
    path = job.search / f"floor-{key}.json"
    job.search.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(path.with_suffix(".lock")):
        try:
            return {FLOOR: float(json.loads(path.read_text(encoding="utf-8"))[FLOOR])}
        except (OSError, ValueError, KeyError, TypeError) as error:
            if not isinstance(error, FileNotFoundError):
                tell_torn(path, error, "the floors are measured again")
        score = max(floor.score(job.selection, job.corpus) for floor in measure_floors(job, moved=False))
        write_whole(path, lambda place: place.write_text(json.dumps({FLOOR: score}), encoding="utf-8"))
        return {FLOOR: score}


def measure_floors(job: TrialJob, *, moved: bool = True) -> tuple[Floor, ...]:
    """Return the floors of a corpus and an encoder, scored as a trial of this job is after an epoch.

    Without `moved` those are left out that move languages.
    """
    corpus = job.corpus
    split = trial_split(corpus, job.settings)
    selecting, _ = held_out_pairs(corpus, split)
    source = EncodedTable(table_path(corpus, "train", corpus.source))
    dev = source_dev_rows(corpus, split, job.settings.dev_limit)
    frequent = most_frequent_intent(source.rows(split.train))
    frozen = frozen_encoder(job, TaskRows([(source, split.train)]), dev)
    maps = language_maps(frozen, source, split.train) if moved else {}
    speaks: dict[str, Speak] = {MOST_FREQUENT: lambda _: frequent, FROZEN: lambda _: _moved(frozen, None, None)}
    if moved:
        centred = {lang: (found.centred, found.words) for lang, found in maps.items()}
        turned = {lang: (found.turned, found.words) for lang, found in maps.items()}
        speaks |= {
            CENTRED: lambda lang: _moved(frozen, *centred.get(lang, (None, None))),
            TURNED: lambda lang: _moved(frozen, *turned.get(lang, (None, None))),
        }
    return tuple(
        Floor(
            name=name,
            speak=speak,
            metrics=epoch_metrics(speak, selecting, job, (dev, speak(corpus.source)(dev))),
        )
        for name, speak in speaks.items()
    )


def _moved(predictor: Predictor, sentences: LanguageMap | None, words: LanguageMap | None) -> Predict:
    def predict(rows: Sequence[EncodedRow]) -> list[Prediction]:
        assert isinstance(predictor.model, MovedModel)
        predictor.model.sentence_map, predictor.model.word_map = sentences, words
        return predictor.predict(rows)

    return predict


def language_maps(predictor: Predictor, source: EncodedTable, train: np.ndarray) -> dict[str, LanguageMaps]:
    """Return the maps of each target, from at most PAIRS translations of these training rows; no label is read.

    The predictor's model must move nothing. A language without translations has no map, and is read as it is.
    """
    maps = {}
    for lang in predictor.corpus.aligned:
        table = EncodedTable(table_path(predictor.corpus, TRANSLATIONS, lang))
        chosen = np.sort(np.random.default_rng(DRAW_SEED).permutation(train)[:PAIRS])
        theirs = translation_rows(source, table, chosen)
        there = theirs != NO_TRANSLATION
        if there.any():
            sentences, words = _states(predictor, table.rows(theirs[there]))
            source_sentences, source_words = _states(predictor, source.rows(chosen[there]))
            maps[lang] = LanguageMaps(
                centred=centring(sentences, source_sentences),
                turned=procrustes(sentences, source_sentences),
                words=centring(words, source_words),
            )
    return maps


@torch.inference_mode()
def _states(predictor: Predictor, rows: list[EncodedRow]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the sentence embeddings of rows in their order, and the states of all their words in any."""
    predictor.model.eval()
    sentences, words = dict[int, torch.Tensor](), []
    for places in sorted_batches(predictor.collator.lengths(rows), TOKENS_A_BATCH):
        batch = predictor.collator([rows[place] for place in places]).to(predictor.device)
        with torch.autocast(predictor.device.type, dtype=torch.bfloat16, enabled=predictor.precision == "bf16"):
            found, of_words = predictor.model.embed(batch)
        sentences |= zip(places.tolist(), found.float(), strict=True)
        words.append(of_words.float())
    return torch.stack([sentences[place] for place in range(len(rows))]), torch.cat(words)


def floor_on_test(floor: Floor, job: TrialJob, languages: Sequence[str]) -> dict[str, float]:
    """Score a floor on the encoded test splits, once a winner is chosen."""
    metrics: dict[str, float] = {}
    for lang in languages:
        rows = split_rows(job.corpus, "test", lang, job.settings.test_limit)
        metrics |= labelled_metrics(rows, floor.speak(lang)(rows), "test", lang, has_slots=job.corpus.has_slots)
    return metrics | mean_over_targets(metrics, "test", [lang for lang in languages if lang in job.corpus.targets])


def most_frequent_intent(rows: Sequence[EncodedRow]) -> Predict:
    """Return what says the most frequent intent of these rows, of equal ones the first, and no slot, of every row."""
    counts = Counter(row.intent or "" for row in rows)
    intent, count = counts.most_common(1)[0]

    def predict(asked: Sequence[EncodedRow]) -> list[Prediction]:
        share = count / counts.total()
        return [
            Prediction(
                intent=intent,
                intent_probability=share,
                slots=(OUTSIDE,) * len(row.words),
                slot_probabilities=(1.0,) * len(row.words),
            )
            for row in asked
        ]

    return predict


def frozen_encoder(job: TrialJob, rows: TaskRows, dev: list[EncodedRow]) -> Predictor:
    """Return the job's encoder as it was pretrained, with heads fitted to these labelled rows, read as a trial's."""
    corpus, settings, device = job.corpus, job.settings, trial_device()
    files = replace(job.encoder, embedding=settings.embedding or job.encoder.embedding)
    model = MovedModel(load_encoder(files), files.embedding, len(corpus.intents), len(corpus.slot_tags), 0.0)
    predictor = Predictor(
        model=model.to(device),
        collator=evaluation_collator(corpus, attended_padding(settings, model.encoder)),
        corpus=corpus,
        device=device,
        precision=trial_precision(job, device, model.encoder.config),
    )
    begin_with(predictor, probed_heads(predictor, files, rows, dev, corpus.directory))
    if settings.decoding == "viterbi" and corpus.has_slots:
        table = EncodedTable(table_path(corpus, "train", corpus.source))
        numbers = table.tag_numbers(trial_split(corpus, settings).train, corpus.slot_tags)
        model.decoder = SlotDecoder(transition_scores(*numbers, corpus.slot_tags)).to(device)
    fit_reading(predictor, list(predictor.logits(dev)))
    return predictor
