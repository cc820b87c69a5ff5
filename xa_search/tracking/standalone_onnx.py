"""An exported ONNX model: intents and slots of raw text in any language. In: this folder. Out: an answer for each text.

    python model_onnx.py "Set an alarm for 7:30 tomorrow morning."

It needs onnxruntime, numpy and transformers (for the tokenizer), no torch and no network. From another program, with
this folder on its path:

    from model_onnx import OnnxModel
    model = OnnxModel(threads=1)
    model.predict(["Set an alarm for 7:30 tomorrow morning."])
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from transformers import PreTrainedTokenizerFast

from xa_search.encoding.tokenisation import TokenisedWords, tokenise_running_text

HERE = Path(__file__).resolve().parent
TEXTS_AT_ONCE = 16


class OnnxModel:
    """A graph that gives the logits of intents and of slot tags, and how they are read. `threads` 0 means all cores."""

    def __init__(self, directory: Path = HERE, threads: int = 0) -> None:
        self.labels = json.loads((directory / "labels.json").read_text(encoding="utf-8"))
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(directory, local_files_only=True)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(
            directory / "model.onnx", options, providers=onnxruntime.get_available_providers()
        )
        tags = len(self.labels["slot_tags"])
        self.decodes = "transitions" in self.labels
        self.scores = np.zeros((tags + 1, tags + 1), dtype=np.float32)
        if self.decodes:
            legal = [[-np.inf if one is None else one for one in row] for row in self.labels["transitions"]]
            self.scores = np.array(legal, dtype=np.float32)

    def predict(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return intent, its probability, and slots of each text; one without words has no intent."""
        rows = tokenise_running_text(
            self.tokenizer, texts, self.labels["max_tokens"], pairs=not self.labels["has_slots"]
        )
        answers: list[dict[str, Any]] = [{"intent": None, "intent_probability": 0.0, "slots": []} for _ in texts]
        known = [place for place, row in enumerate(rows) if row.words]
        known.sort(key=lambda place: len(rows[place].input_ids))
        for start in range(0, len(known), TEXTS_AT_ONCE):
            places = known[start : start + TEXTS_AT_ONCE]
            intents, slots = self.logits([rows[place] for place in places])
            for place, of_intents, of_slots in zip(places, intents, slots, strict=True):
                answers[place] = self._read(texts[place], rows[place], of_intents, of_slots)
        return answers

    def logits(self, rows: Sequence[TokenisedWords]) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return the intent logits [R, intents] of some rows, and each one's slot logits [words, tags].

        A model that learned with its padding attended, as the published recipe does, is asked in that way.
        """
        padding = self.tokenizer.pad_token_id or 0
        lengths = [max(self.labels["attended_padding"], len(row.input_ids)) for row in rows]
        input_ids = np.full((len(rows), max(lengths)), padding, dtype=np.int64)
        mask = np.zeros_like(input_ids)
        for place, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            input_ids[place, : len(row.input_ids)] = row.input_ids
            mask[place, :length] = 1
        intents, slots = self.session.run(
            ["intent_logits", "slot_logits"], {"input_ids": input_ids, "attention_mask": mask}
        )
        return intents, [of_row[list(row.positions)] for of_row, row in zip(slots, rows, strict=True)]

    def _read(self, text: str, row: TokenisedWords, intents: np.ndarray, slots: np.ndarray) -> dict[str, Any]:
        intent_temperature, slot_temperature = self.labels["temperatures"]
        shares = np.exp(intents - intents.max(), dtype=np.float64) ** (1 / intent_temperature)
        best = int(shares.argmax())
        tags = best_tags(slots, self.scores) if self.decodes else [int(tag) for tag in slots.argmax(-1)]
        chain = Chain(slots / np.float64(slot_temperature), self.scores / np.float64(slot_temperature))
        return {
            "intent": self.labels["intents"][best],
            "intent_probability": round(float(shares[best] / shares.sum()), 6),
            "slots": list(slots_of(text, row.places, tags, self.labels["slot_tags"], chain)),
        }


def best_tags(logits: np.ndarray, scores: np.ndarray) -> list[int]:
    """Return the tags with the highest sum of logits [W, tags] and of scores [tags + 1, tags + 1] (Viterbi).

    The last row of the scores is for the first word, the last column for the end behind the last one.
    """
    if not len(logits):
        return []
    best = scores[-1, :-1] + logits[0]
    came_from = []
    for word in logits[1:]:
        reached = best[:, None] + scores[:-1, :-1]
        came_from.append(reached.argmax(0))
        best = reached.max(0) + word
    tags = [int((best + scores[:-1, -1]).argmax())]
    for before in reversed(came_from):
        tags.append(int(before[tags[-1]]))
    return tags[::-1]


class Chain:
    """How probable slots are under logits [W, tags] and scores: the sums over all sequences of tags, float64."""

    def __init__(self, logits: np.ndarray, scores: np.ndarray) -> None:
        self.logits, self.scores = logits, scores
        words, tags = logits.shape
        self.before, self.behind = np.empty((words, tags)), np.empty((words, tags))
        for word in range(words):
            reached = scores[-1, :-1] if word == 0 else log_sum(self.before[word - 1][:, None] + scores[:-1, :-1], 0)
            self.before[word] = reached + logits[word]
        for word in reversed(range(words)):
            ahead = scores[:-1, -1] if word == words - 1 else log_sum(self._ahead(word), 1)
            self.behind[word] = ahead
        self.total = log_sum(self.before[-1] + scores[:-1, -1], 0) if words else 0.0

    def _ahead(self, word: int) -> np.ndarray:
        """Return the sums [tags, tags] of what follows a word of each tag, by the next word's tag."""
        ahead: np.ndarray = self.scores[:-1, :-1] + (self.logits[word + 1] + self.behind[word + 1])[None, :]
        return ahead

    def probability(self, first: int, tags: Sequence[int], going_on: int | None) -> float:
        """Return how probable it is that a slot of these tags begins at `first` and ends behind them.

        `going_on` is the tag that would go on with it, where there is one.
        """
        last = first + len(tags) - 1
        found = self.before[first, tags[0]] - self.total
        for word, (tag, before) in enumerate(zip(tags[1:], tags[:-1], strict=True), first + 1):
            found += self.scores[before, tag] + self.logits[word, tag]
        if last == len(self.logits) - 1:
            return min(1.0, float(np.exp(found + self.scores[tags[-1], -1])))
        ends = self._ahead(last)[tags[-1]].copy()
        if going_on is not None:
            ends[going_on] = -np.inf
        return min(1.0, float(np.exp(found + log_sum(ends, 0))))


def log_sum(logs: np.ndarray, axis: int) -> np.ndarray:
    """Return log(sum(exp)) along an axis."""
    highest = np.maximum(logs.max(axis, keepdims=True), -1e300)
    with np.errstate(divide="ignore"):
        summed: np.ndarray = np.log(np.exp(logs - highest).sum(axis)) + highest.squeeze(axis)
    return summed


def slots_of(
    text: str, places: Sequence[tuple[int, int]], tags: Sequence[int], names: Sequence[str], chain: Chain
) -> Iterator[dict[str, Any]]:
    """Yield the slots that the tags of a text's words make, each with its probability.

    A slot goes on while I- tags of its type follow; one that begins with I- is a slot all the same.
    """
    numbers = {name: number for number, name in enumerate(names)}
    first = 0
    for place in range(1, len(tags) + 1):
        slot_type = names[tags[first]][2:]
        if place < len(tags) and slot_type and names[tags[place]] == f"I-{slot_type}":
            continue
        if slot_type:
            start, end = places[first][0], places[place - 1][1]
            yield {
                "slot": slot_type,
                "value": text[start:end],
                "start_word": first,
                "end_word": place - 1,
                "start": start,
                "end": end,
                "probability": round(chain.probability(first, tags[first:place], numbers.get(f"I-{slot_type}")), 6),
            }
        first = place


if __name__ == "__main__":
    for answer in OnnxModel().predict(sys.argv[1:]):
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
