"""A small corpus in three languages, for the tests of training."""

from collections.abc import Iterator
from dataclasses import dataclass

from xa_search.records import Split, Translation, Utterance

ROOMS = {"en": ("kitchen", "garden", "cellar"), "de": ("Küche", "Garten", "Keller"), "th": ("ครัว", "สวน", "ห้อง")}
VERBS = {
    "light_on": {"en": "light", "de": "beleuchte", "th": "เปิดไฟ"},
    "clean": {"en": "clean", "de": "putze", "th": "ทำ"},
}
SIZES: dict[Split, int] = {"train": 60, "dev": 12, "test": 12}


def letters(number: int) -> str:
    """Spell a number: numbers are set aside where templates are compared, words are not."""
    return "".join("abcdefghij"[int(digit)] for digit in f"{number:04d}")


@dataclass(frozen=True)
class RoomCorpus:
    """Says which room to light or to clean, in every language, with parallel ids."""

    name: str = "rooms"
    source: str = "en"
    targets: tuple[str, ...] = ("de", "th")

    def utterances(self, lang: str, split: Split) -> Iterator[Utterance]:
        offset = list(SIZES).index(split) * 1000
        for number in range(SIZES[split]):
            intent = list(VERBS)[number % 2]
            room = ROOMS[lang][number % 3]
            words = (VERBS[intent][lang], room, letters(offset + number))
            yield Utterance(
                id=f"{split}-{number}", lang=lang, split=split, words=words, intent=intent, slots=("O", "B-room", "O")
            )

    def translations(self, lang: str) -> Iterator[Translation]:
        for row in self.utterances(lang, "train"):
            yield Translation(source_id=row.id, lang=lang, words=row.words, running_text=False)

    def fingerprint(self, *, with_target_train: bool = False) -> str:
        return "rooms"
