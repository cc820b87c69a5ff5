"""Each family of translation models, tiny and random: the languages it is told, and what it refuses."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_translators import write_m2m, write_marian, write_nllb

from xa_search.errors import ModelError
from xa_search.model.translator import NLLB_CODES, TEXTS_A_BATCH, Translator, find_translation_model

CPU = torch.device("cpu")


def translator(folder: Path, target: str = "de") -> Translator:
    return Translator(find_translation_model(str(folder)), "en", target, CPU)


def generated(spied: Translator, texts: list[str], monkeypatch: pytest.MonkeyPatch) -> tuple[list[list[int]], Any]:
    """Return the tokens that went in and came out."""
    seen = {}
    real = spied._model.generate

    def generate(**inputs: Any) -> Any:
        seen["in"] = inputs["input_ids"].tolist()
        seen["out"] = real(**inputs)
        return seen["out"]

    monkeypatch.setattr(spied._model, "generate", generate)
    spied.translate(texts)
    return seen["in"], seen["out"]


@pytest.mark.parametrize(
    ("write", "codes"), [(write_nllb, ("eng_Latn", "deu_Latn")), (write_m2m, ("__en__", "__de__"))]
)
def test_languages_are_told_by_tokens(
    write: Any, codes: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spied = translator(write(tmp_path / "model"))
    source, target = spied._tokenizer.convert_tokens_to_ids(list(codes))
    sent, answered = generated(spied, ["wake me", "stop"], monkeypatch)
    assert all(row[0] == source for row in sent)
    assert answered[:, 1].tolist() == [target, target]


def test_marian_of_several_targets_is_told_by_a_prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spied = translator(write_marian(tmp_path / "model", codes=(">>deu<<", ">>fra<<")))
    sent, _ = generated(spied, ["wake me"], monkeypatch)
    assert sent[0][0] == spied._tokenizer.convert_tokens_to_ids(">>deu<<")
    with pytest.raises(ModelError, match="does not translate into 'th'; it knows >>deu<< >>fra<<"):
        translator(tmp_path / "model", "th")


def test_marian_of_one_pair(tmp_path: Path) -> None:
    write_marian(tmp_path / "model", target="de")
    assert len(translator(tmp_path / "model").translate(["wake me", "stop"])) == 2
    with pytest.raises(ModelError, match="translates into 'de', not 'th'"):
        translator(tmp_path / "model", "th")


def test_answers_keep_the_order_of_the_texts(tmp_path: Path) -> None:
    made = translator(write_nllb(tmp_path / "model"))
    texts = ["abcdefgh"[: 1 + number % 8] + " " + str(number) for number in range(2 * TEXTS_A_BATCH + 3)]
    answers = made.translate(texts)
    assert answers == made.translate(texts)
    alone = [made.translate([text])[0] for text in texts[:5]]
    assert answers[:5] == alone
    assert len(set(answers)) > 1
    assert not any("\n" in answer for answer in answers)


def test_what_cannot_translate(tmp_path: Path) -> None:
    write_nllb(tmp_path / "model")
    with pytest.raises(ModelError, match="does not know the language 'gsw'"):
        translator(tmp_path / "model", "gsw")
    with pytest.raises(ModelError, match=r"is not in the hub's cache.*give --model DIRECTORY"):
        find_translation_model("nobody/no-such-translator")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="cannot load the translation model"):
        translator(tmp_path / "empty")


def test_every_code_of_nllb_is_one_of_its_own() -> None:
    from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES

    assert set(NLLB_CODES.values()) <= set(FAIRSEQ_LANGUAGE_CODES)
