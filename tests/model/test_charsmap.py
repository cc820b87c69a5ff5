import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from tokenizers import normalizers

from xa_search.model.offline_e5 import compile_charsmap, with_compositions

characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")


@given(st.dictionaries(characters, st.text(characters, max_size=3), max_size=60), st.text(characters, max_size=30))
def test_each_character_is_replaced_by_its_own_entry(replacements: dict[str, str], text: str) -> None:
    compiled = normalizers.Precompiled(compile_charsmap(replacements))
    for character in {*text, *replacements}:
        assert compiled.normalize_str(character) == replacements.get(character, character)


def test_longer_keys_and_neighbours_do_not_disturb_each_other() -> None:
    replacements = {"e\u0301": "é", "①": "1", "②": "2", "\u200b": " ", "\x01": ""}
    compiled = normalizers.Precompiled(compile_charsmap(replacements))
    assert compiled.normalize_str("cafe\u0301 ①②③\u200b\x01e") == "café 12③ e"


def test_compositions_are_those_of_unicode() -> None:
    composed = with_compositions({"①": "1"})
    assert composed["①"] == "1"
    assert all(unicodedata.normalize("NFC", key) == value for key, value in composed.items() if key != "①")
    assert composed["u\u0308"] == "ü"
