"""An exported model: intents and slots of raw text in any language. In: this folder. Out: an answer for each text.

    python model.py "Set an alarm for 7:30 tomorrow morning."

It needs torch, transformers and safetensors, and no network. From another program, with this folder on its path:

    from model import ExportedModel
    model = ExportedModel()
    model.predict(["Set an alarm for 7:30 tomorrow morning."])
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch.nn import functional
from transformers import AutoModel, PreTrainedTokenizerFast

from xa_search.encoding.tokenisation import TokenisedWords, tokenise_running_text
from xa_search.model.decoding import decode

HERE = Path(__file__).resolve().parent
TEXTS_AT_ONCE = 16


class ExportedModel:
    """An encoder with an intent head on its sentence embedding and a slot head on the first sub-word of each word."""

    def __init__(self, directory: Path = HERE) -> None:
        self.labels = json.loads((directory / "labels.json").read_text(encoding="utf-8"))
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(directory, local_files_only=True)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        options = {"add_pooling_layer": self.labels["embedding"] == "pooler"} if self.labels["pooling_layer"] else {}
        encoder = AutoModel.from_pretrained(directory, dtype="float32", local_files_only=True, **options)
        self.encoder: Any = encoder.to(self.device).eval()
        self.heads = {
            name: tensor.to(self.device) for name, tensor in load_file(directory / "heads.safetensors").items()
        }

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
            found = self._answers([texts[place] for place in places], [rows[place] for place in places])
            for place, answer in zip(places, found, strict=True):
                answers[place] = answer
        return answers

    @torch.inference_mode()
    def _answers(self, texts: Sequence[str], rows: Sequence[TokenisedWords]) -> Iterator[dict[str, Any]]:
        """Yield the answers to some texts, which all have words."""
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.labels["precision"] == "bf16"):
            hidden, sentences = self._encode(rows)
            words = torch.cat([states[list(row.positions)] for states, row in zip(hidden, rows, strict=True)])
            intent_logits = self._head("intent_head", sentences).float()
            slot_logits = self._head("slot_head", words).float()
        temperatures = self.heads.get("temperatures", torch.ones(2, device=self.device))
        sure, intents = (intent_logits / temperatures[0]).softmax(-1).max(-1)
        tags = self._tags(slot_logits, torch.tensor([len(row.positions) for row in rows], device=self.device))
        shares = (slot_logits / temperatures[1]).softmax(-1).gather(1, tags[:, None])[:, 0]
        named = iter(zip([self.labels["slot_tags"][tag] for tag in tags.tolist()], shares.tolist(), strict=True))
        for text, row, intent, probability in zip(texts, rows, intents.tolist(), sure.tolist(), strict=True):
            of_words = [next(named) for _ in row.positions]
            yield {
                "intent": self.labels["intents"][intent],
                "intent_probability": round(probability, 6),
                "slots": list(slots_of(text, row.places, of_words)),
            }

    def _encode(self, rows: Sequence[TokenisedWords]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the hidden states [R, T, H] of some rows, and their sentence embeddings [R, H].

        A model that learned with its padding attended, as the published recipe does, is asked in that way.
        """
        padding = self.encoder.config.pad_token_id or 0
        least = self.labels["attended_padding"]
        lengths = [max(least, len(row.input_ids)) for row in rows]
        input_ids = torch.full((len(rows), max(lengths)), padding)
        mask = torch.zeros_like(input_ids)
        for place, (row, length) in enumerate(zip(rows, lengths, strict=True)):
            input_ids[place, : len(row.input_ids)] = torch.tensor(row.input_ids)
            mask[place, :length] = 1
        input_ids, mask = input_ids.to(self.device), mask.to(self.device)
        hidden = self.encoder(input_ids=input_ids, attention_mask=mask).last_hidden_state
        if self.labels["embedding"] == "mean":
            weights = mask[:, :, None].float()
            return hidden, (hidden.float() * weights).sum(1) / weights.sum(1)
        return hidden, self.encoder.pooler(hidden) if self.labels["embedding"] == "pooler" else hidden[:, 0]

    def _head(self, name: str, states: torch.Tensor) -> torch.Tensor:
        return functional.linear(states, self.heads[f"{name}.weight"], self.heads[f"{name}.bias"])

    def _tags(self, logits: torch.Tensor, word_counts: torch.Tensor) -> torch.Tensor:
        """Return the number of each word's tag: of the best legal sequences, where the model has a decoder."""
        if "decoder.transitions" not in self.heads:
            return logits.argmax(-1)
        return decode(logits, word_counts, self.heads["decoder.transitions"], float(self.heads["decoder.weight"]))


def slots_of(
    text: str, places: Sequence[tuple[int, int]], tags: Sequence[tuple[str, float]]
) -> Iterator[dict[str, Any]]:
    """Yield the slots that the tags of a text's words make, each tag with its probability.

    A slot goes on while I- tags of its type follow; one that begins with I- is a slot all the same.
    """
    first = 0
    for place in range(1, len(tags) + 1):
        slot_type = tags[first][0][2:]
        if place < len(tags) and slot_type and tags[place][0] == f"I-{slot_type}":
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
                "probability": round(min(share for _, share in tags[first:place]), 6),
            }
        first = place


if __name__ == "__main__":
    for answer in ExportedModel().predict(sys.argv[1:]):
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
