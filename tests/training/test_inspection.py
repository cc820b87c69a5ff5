"""What is found inside an encoder, against values computed by hand."""

import numpy as np
import pytest
import torch
from scipy.stats import t as student

from xa_search.encoding.batches import Collator
from xa_search.encoding.store import table_path
from xa_search.encoding.table import EncodedTable
from xa_search.model.encoder import load_encoder
from xa_search.model.joint import JointModel
from xa_search.records import EncodedCorpus, EncoderFiles
from xa_search.training import inspection
from xa_search.training.inspection import (
    Closeness,
    Pairs,
    View,
    closeness,
    closer_by,
    compare_views,
    distinct_pairs,
    embed_layers,
    look_inside,
)


def test_cosines_and_retrieval_by_hand() -> None:
    """Cosines, sources in rows: [1, 0, 0.6], [0, 1, 0.8], [0, 0, 0]: the third translation is nearest to the second."""
    sources = torch.tensor([[2.0, 0, 0], [0, 5, 0], [0, 0, 1]])
    translations = torch.tensor([[3.0, 0, 0], [0, 1, 0], [6, 8, 0]])
    seen, margins = closeness(sources, translations)
    assert seen.pair_cosine == pytest.approx((1 + 1 + 0) / 3)
    assert seen.random_cosine == pytest.approx((0 + 0 + 0 + 0 + 0.6 + 0.8) / 6)
    assert seen.retrieval == pytest.approx(2 / 3)
    assert margins.tolist() == pytest.approx([1, 1, -0.7])


def test_layers_are_those_of_the_model_and_the_last_is_what_it_aligns(
    tiny_encoder: EncoderFiles, encoded_rooms: EncodedCorpus
) -> None:
    rows = EncodedTable(table_path(encoded_rooms, "train", "en")).rows(np.array([4, 0, 9]))
    collator = Collator([], [])
    model = JointModel(load_encoder(tiny_encoder), "mean", 2, 2, 0.0).eval()
    embedded = embed_layers(model.encoder, "mean", collator, rows)
    assert embedded.shape == (2, 3, 32)
    assert torch.allclose(embedded[1], model(collator(rows)).sentence, atol=1e-5)
    theirs = load_encoder(tiny_encoder)
    alone = theirs(torch.tensor(rows[0].input_ids[None], dtype=torch.int64), output_hidden_states=True)
    assert torch.allclose(embedded[0, 0], alone.hidden_states[1][0].mean(0), atol=1e-5)


def test_an_utterance_is_found_among_copies_of_itself(tiny_encoder: EncoderFiles, encoded_rooms: EncodedCorpus) -> None:
    """Where the translations are the sources, every pair has cosine 1 in every layer, and each is found."""
    source = EncodedTable(table_path(encoded_rooms, "train", "en"))
    rows = np.array([3, 7, 20, 31])
    same = {"en": Pairs(sources=rows, translations=source.rows(rows))}
    view = look_inside(load_encoder(tiny_encoder), "cls", Collator([], []), source, same)["en"]
    assert [layer.pair_cosine for layer in view.layers] == pytest.approx([1, 1])
    assert [layer.retrieval for layer in view.layers] == [1, 1]
    assert view.layers[1].random_cosine < 1


def test_no_text_is_in_two_pairs_and_their_number_is_bounded(
    encoded_rooms: EncodedCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, german = (
        EncodedTable(table_path(encoded_rooms, *kind)) for kind in (("train", "en"), ("translations", "de"))
    )
    repeated = np.array([5, 5, 8, 9, 8])
    assert distinct_pairs(source, repeated, german).sources.tolist() == [5, 8, 9]
    monkeypatch.setattr(inspection, "MOST_PAIRS", 3)
    pairs = distinct_pairs(source, np.arange(60), german)
    assert pairs.sources.tolist() == [0, 20, 40]
    assert [row.id for row in pairs.translations] == ["train-0", "train-20", "train-40"]


def test_how_much_closer_by_hand() -> None:
    """Growths of 0.2 and 0.4 in one language and of 0.1 in the other: the mean of their means is 0.2."""
    rows = source_rows(3), source_rows(3, 8)
    layer = Closeness(pair_cosine=1.0, random_cosine=0.0, retrieval=1.0)
    before = {"de": View(layers=(layer,), margins=np.array([0.1])), "th": View(layers=(layer,), margins=np.zeros(2))}
    after = {
        "de": View(layers=(layer,), margins=np.array([0.2])),
        "th": View(layers=(layer,), margins=np.array([0.2, 0.4])),
    }
    pairs = dict(zip(("de", "th"), rows, strict=True))
    assert closer_by(before, after, pairs, ("th",)).value == pytest.approx(0.3)
    assert closer_by(before, after, pairs, ("de", "th")).value == pytest.approx(0.2)
    # Two pairs: a standard error of 0.1, and t with one degree of freedom.
    assert closer_by(before, after, pairs, ("th",)).low == pytest.approx(0.3 - 0.1 * student.ppf(0.975, 1))
    assert [(one.lang, one.unseen, one.pairs) for one in compare_views(before, after, ("th",))] == [
        ("de", False, 1),
        ("th", True, 2),
    ]


def source_rows(*numbers: int) -> Pairs:
    return Pairs(sources=np.array(numbers), translations=[])
