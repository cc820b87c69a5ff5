"""Records of data. In: nothing. Out: utterances, translations, encoders and encoded corpora as frozen types."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Split = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = ("train", "dev", "test")

OUTSIDE = "O"
IGNORED = -100
"""The number of a label that is not scored."""
FIELDS = ("id", "lang", "text", "tokens", "intent", "slots", "spans")
"""What a row of a user's own corpus may have, by our names."""
BETWEEN = "|||"
"""The word between the two sentences of an utterance that is a pair of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One labelled utterance. `words` and `slots` (IOB2 tags) have the same length.

    An utterance may be a pair of sentences: its words are then the first one's, `BETWEEN`, the second one's.
    """

    id: str
    lang: str
    split: Split
    words: tuple[str, ...]
    intent: str
    slots: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """A translation of one source training utterance; it carries no target labels.

    `words` are the corpus's own words where it has them. Where the corpus holds only a line of text, they are that
    line split at white space, and `running_text` is true: a word may then hold a whole clause of Thai or Chinese.
    """

    source_id: str
    lang: str
    words: tuple[str, ...]
    running_text: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderFiles:
    """A multilingual encoder on disk: weights, configuration and tokenizer in one directory."""

    directory: Path
    size: str
    origin: str
    revision: str
    tokenizer_fingerprint: str
    embedding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedCorpus:
    """A corpus as token ids on disk. `directory` holds one memory-mapped table a split and language."""

    directory: Path
    source: str
    targets: tuple[str, ...]
    intents: tuple[str, ...]
    slot_tags: tuple[str, ...]
    unpaired: tuple[str, ...] = ()
    """Targets without translations of training utterances: tested, and left out of alignment."""

    @property
    def aligned(self) -> tuple[str, ...]:
        """The targets that have pairs."""
        return tuple(lang for lang in self.targets if lang not in self.unpaired)

    @property
    def has_slots(self) -> bool:
        """Whether there is anything to tag: a corpus of labelled texts or pairs has no slot type."""
        return any(tag != OUTSIDE for tag in self.slot_tags)
