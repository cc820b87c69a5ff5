"""A model bundle. In: a trial's weights. Out: a directory that is complete by itself, and answers from it.

It holds the encoder with its full vocabulary, the heads and the tokenizer as plain data (safetensors and JSON, no
pickle): it needs neither the corpus nor a network, and also reads words that the corpus never had.
"""

import json
import shutil
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file, save_file
from seqeval.metrics.sequence_labeling import get_entities

from xa_search.corpora.text import SURROGATE, clean_label, is_utf8
from xa_search.encoding.table import EncodedRow
from xa_search.encoding.tokenisation import TokenisedWords, tokenise_running_text, tokenise_words
from xa_search.errors import ModelError
from xa_search.feedback.files import UNKNOWN_LANGUAGE
from xa_search.feedback.judgements import Judgement, Parse
from xa_search.model.decoding import decoder_among
from xa_search.model.encoder import load_encoder, load_tokenizer, tokenizer_fingerprint
from xa_search.model.hub import quiet_transformers
from xa_search.model.joint import JointModel
from xa_search.records import EncodedCorpus, EncoderFiles, TrialJob, TrialSettings
from xa_search.records.stored import stored_settings
from xa_search.records.whole_files import put_in_place
from xa_search.training.checkpoint import restore_model
from xa_search.training.data import attended_padding, evaluation_collator
from xa_search.training.device import trial_device, trial_precision
from xa_search.training.evaluation import Prediction, Predictor
from xa_search.training.final_test import trained_predictor

CARD = "bundle.json"
HEADS = "heads.safetensors"
NO_TOKENIZER_FILES = {"config.json", "generation_config.json", "origin.json"}
LONGEST_SHOWN = 60
NULLS = ("NAType", "NaTType")
"""What pandas makes of a null, beside None and a float that is no number."""
LIBRARIES = ("torch", "transformers", "tokenizers")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedSlot:
    """A slot in an utterance: its type, its text as it was typed, and its first and last word, counted from 0.

    `text` stands at `start:end` of the utterance as it came, in characters. `probability` is that of this
    very slot: of its type, its first and its last word.
    """

    type: str
    text: str
    first_word: int
    last_word: int
    start: int
    end: int
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedUtterance:
    """What a model says of a text. `tags` has one IOB2 tag a word. A text without words has no intent."""

    intent: str | None
    intent_probability: float
    slots: tuple[ParsedSlot, ...]
    words: tuple[str, ...]
    tags: tuple[str, ...]

    def record(self, threshold: float = 0.0) -> dict[str, Any]:
        """Return what a served model answers, ready for JSON; below the threshold the intent is null."""
        slots = [
            {
                "slot": slot.type,
                "value": slot.text,
                "start_word": slot.first_word,
                "end_word": slot.last_word,
                "start": slot.start,
                "end": slot.end,
                "probability": slot.probability,
            }
            for slot in self.slots
        ]
        intent = None if self.intent_probability < threshold else self.intent
        return {"intent": intent, "intent_probability": self.intent_probability, "slots": slots}


NOTHING = ParsedUtterance(intent=None, intent_probability=0.0, slots=(), words=(), tags=())
"""What a model says of a text without words."""


def parse_slots(
    text: str, places: Sequence[tuple[int, int]], tags: Sequence[str], probabilities: Sequence[float]
) -> tuple[ParsedSlot, ...]:
    """Return the slots that the tags of a text's words make; `places` says where each word stands in the text."""
    found = []
    for slot_type, first, last in get_entities(list(tags)):
        start, end = places[first][0], places[last][1]
        found.append(
            ParsedSlot(
                type=slot_type,
                text=text[start:end],
                first_word=int(first),
                last_word=int(last),
                start=start,
                end=end,
                probability=round(probabilities[first], 6),
            )
        )
    return tuple(found)


def fault_of(value: object) -> str | None:
    """Say why a value is no text that can be answered, in one line; None where it is one."""
    if isinstance(value, str):
        return None if is_utf8(value) else f"{_short(value)} has bytes that are not UTF-8; save it as UTF-8"
    is_null = value is None or type(value).__name__ in NULLS or (isinstance(value, float) and isnan(value))
    return f"{'null' if is_null else _short(value)} is no text; send a string in its place"


def _short(value: object) -> str:
    shown = as_shown(repr(as_shown(value) if isinstance(value, str) else value))
    return shown if len(shown) <= LONGEST_SHOWN else f"{shown[:LONGEST_SHOWN]}..."


def as_shown(text: str) -> str:
    """Return a text that can be written, with a mark in the place of each byte that was no UTF-8."""
    return SURROGATE.sub("\ufffd", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A model that answers raw text. `provenance` says where it comes from, `settings` how it was trained."""

    predictor: Predictor
    tokenizer: Any
    settings: TrialSettings
    provenance: dict[str, Any]

    @property
    def max_tokens(self) -> int:
        """The sub-words of a text that the model reads."""
        return self.settings.max_tokens

    def predict(self, texts: Sequence[str]) -> list[ParsedUtterance]:
        """Return the intent and the slots of each text, in any language; in a pair, `BETWEEN` divides the sentences.

        Texts are cleaned, split and tokenised as the running text of a corpus is.
        """
        tokenised = tokenise_running_text(self.tokenizer, texts, self.max_tokens, pairs=self._reads_pairs)
        predictions = iter(self.predictor.predict(_rows([row for row in tokenised if row.words])))
        return [
            _parsed(text, row, next(predictions)) if row.words else NOTHING
            for text, row in zip(texts, tokenised, strict=True)
        ]

    def answer(
        self, values: Sequence[object], threshold: float = 0.0, log: Callable[[list[Judgement]], None] | None = None
    ) -> list[dict[str, Any]]:
        """Return the record of each text, and for a value that is none, or not UTF-8, a record that says `error`.

        `log` is handed what was said of each text that has words, to be judged.
        """
        faults = [fault_of(value) for value in values]
        texts = [str(value) for value, fault in zip(values, faults, strict=True) if fault is None]
        parsed = self.predict(texts)
        if log is not None:
            log([self._to_judge(text, one) for text, one in zip(texts, parsed, strict=True) if one.words])
        answers = iter(parsed)
        return [next(answers).record(threshold) if fault is None else {"error": fault} for fault in faults]

    def _to_judge(self, text: str, parsed: ParsedUtterance) -> Judgement:
        """Return a line that waits for a verdict: the text, what was said of it, and nothing of who asked, or when."""
        has_slots = self.predictor.corpus.has_slots
        return Judgement(
            id=uuid.uuid4().hex,
            lang=UNKNOWN_LANGUAGE,
            text=text,
            tokens=parsed.words,
            predicted=Parse(intent=parsed.intent, slots=parsed.tags if has_slots else None),
            part="all" if has_slots else "intent",
            model=f"{self.provenance['search_id']}/{self.provenance['trial']}" if self.provenance else None,
        )

    def parse_words(self, sentences: Sequence[Sequence[str]]) -> list[Prediction]:
        """Return the intent of each sentence, and a tag for each of its words as they are given."""
        tokenised = tokenise_words(self.tokenizer, sentences, self.max_tokens, pairs=self._reads_pairs)
        return self.predictor.predict(_rows(tokenised))

    @property
    def _reads_pairs(self) -> bool:
        return not self.predictor.corpus.has_slots


def _parsed(text: str, row: TokenisedWords, prediction: Prediction) -> ParsedUtterance:
    return ParsedUtterance(
        intent=prediction.intent,
        intent_probability=round(prediction.intent_probability, 6),
        slots=parse_slots(text, row.places, prediction.slots, prediction.slot_probabilities),
        words=row.words,
        tags=prediction.slots,
    )


def _rows(tokenised: Sequence[TokenisedWords]) -> list[EncodedRow]:
    return [
        EncodedRow(
            id=str(number),
            words=list(row.words),
            input_ids=np.array(row.input_ids, dtype=np.int64),
            positions=np.array(row.positions, dtype=np.int64),
            intent=None,
            slots=None,
        )
        for number, row in enumerate(tokenised)
    ]


def trial_bundle(job: TrialJob, weights: Path) -> Bundle:
    """Return a finished trial's own model, to compare with what comes out of a bundle."""
    return Bundle(
        predictor=trained_predictor(job, weights),
        tokenizer=load_tokenizer(job.encoder.directory),
        settings=job.settings,
        provenance={},
    )


def trial_answers(job: TrialJob, texts: Sequence[str], predictor: Predictor) -> list[dict[str, Any]]:
    """Return what a finished trial's own model says of texts, as a served model says it."""
    tokenizer = load_tokenizer(job.encoder.directory)
    own = Bundle(predictor=predictor, tokenizer=tokenizer, settings=job.settings, provenance={})
    return [parsed.record() for parsed in own.predict(texts)]


def write_bundle(job: TrialJob, weights: Path, directory: Path, provenance: dict[str, Any]) -> None:
    """Write a trial's model to `directory`, whole or not at all; `provenance` says where it comes from."""
    part = directory.with_name(f"{directory.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    model = restore_model(job.encoder, job.corpus, job.settings, weights)
    with quiet_transformers():
        model.encoder.save_pretrained(part)
    heads = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("encoder.")}
    save_file({name: tensor.contiguous() for name, tensor in heads.items()}, part / HEADS)
    for path in job.encoder.directory.iterdir():
        if path.is_file() and path.suffix != ".safetensors" and path.name not in NO_TOKENIZER_FILES:
            shutil.copyfile(path, part / path.name)
    card = {
        "intents": job.corpus.intents,
        "slot_tags": job.corpus.slot_tags,
        "embedding": model.embedding,
        "tokenizer_fingerprint": job.encoder.tokenizer_fingerprint,
        "encoder": {"size": job.encoder.size, "origin": job.encoder.origin, "revision": job.encoder.revision},
        "settings": job.settings.model_dump(),
        "precision": trial_precision(job, trial_device(), model.encoder.config),
        "versions": {name: version(name) for name in LIBRARIES},
        "provenance": provenance,
    }
    (part / CARD).write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    shutil.rmtree(directory, ignore_errors=True)
    put_in_place(part, directory)


def load_bundle(directory: Path) -> Bundle:
    """Return the model in `directory`.

    Raises ModelError where it is incomplete, or where the installed tokenizer splits text otherwise than in training.
    """
    try:
        card = json.loads((directory / CARD).read_text(encoding="utf-8"))
        heads = load_file(directory / HEADS)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{directory} holds no complete model ({error}); register the search's winner again"
        ) from error
    tokenizer = load_tokenizer(directory)
    if tokenizer_fingerprint(tokenizer) != card["tokenizer_fingerprint"]:
        needed = " ".join(f"{name}=={card['versions'][name]}" for name in ("transformers", "tokenizers"))
        raise ModelError(f"{directory}: text is split otherwise than when this model learned; pip install {needed}")
    files = EncoderFiles(
        directory=directory,
        tokenizer_fingerprint=card["tokenizer_fingerprint"],
        embedding=card["embedding"],
        **card["encoder"],
    )
    labels = EncodedCorpus(
        directory=directory,
        source="",
        targets=(),
        intents=tuple(map(clean_label, card["intents"])),
        slot_tags=tuple(map(clean_label, card["slot_tags"])),
    )
    model = JointModel(load_encoder(files), files.embedding, len(labels.intents), len(labels.slot_tags), dropout=0.0)
    model.decoder = decoder_among(heads)
    model.load_state_dict(heads, strict=False)
    device, settings = trial_device(), stored_settings(card["settings"])
    predictor = Predictor(
        model=model.to(device),
        collator=evaluation_collator(labels, attended_padding(settings, model.encoder)),
        corpus=labels,
        device=device,
        precision=card["precision"],
    )
    return Bundle(
        predictor=predictor,
        tokenizer=tokenizer,
        settings=settings,
        provenance=card["provenance"],
    )
