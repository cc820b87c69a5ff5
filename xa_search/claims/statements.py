"""The claims of the XeroAlign paper, as data. In: nothing. Out: each claim with what it needs and what it expects.

A claim expects our whole interval to lie above a floor, which is its direction, and within a range, which is its size;
`verdicts` says how that is judged. All values are points (percent), but for cosines.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, ValidationError

from xa_search.config.yaml_files import load_yaml_file
from xa_search.corpora.text import clean_label
from xa_search.errors import UsageError, value_faults

PAPER = "arXiv 2105.02472"
Metric = Literal["intent", "slots", "closeness"]
LANGUAGES = {
    "mtop": ("de", "es", "fr", "hi", "th"),
    "mtod": ("es", "th"),
    "multiatis": ("de", "es", "fr", "hi", "ja", "pt", "tr", "zh"),
    "pawsx": ("de", "es", "fr", "ja", "ko", "zh"),
}
"""The target languages of each corpus in the paper."""
TRANSLATORS = {"mtop": "human", "mtod": "machine", "multiatis": "human", "pawsx": "machine"}
"""Who translated the training utterances in the files of each corpus."""
TASK_ORIENTED = ("mtop", "mtod", "multiatis")
PAPER_SIZE = "large"
ABOVE = (0.0, inf)
AS_GOOD = 0.5
"""What counts as at the same height: less than half a point below."""
OVER_BASELINES = "above the best labelled or translated baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What was trained: a method, and a model size where the claim is about one; else all of a claim share a size."""

    method: str
    size: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The value of a claim: the scores in `plus` less those in `minus`, less the best of `best_of` and `if_tested`.

    `literature` names a system whose published score is taken off too.
    """

    plus: tuple[System, ...]
    minus: tuple[System, ...] = ()
    best_of: tuple[System, ...] = ()
    if_tested: tuple[System, ...] = ()
    literature: str | None = None

    @property
    def needed(self) -> tuple[System, ...]:
        """The systems without which there is no value."""
        return (*self.plus, *self.minus, *self.best_of)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One claim. It is about the mean over `corpora`, or over those that were tested unless `every_corpus` is needed.

    `paper` is what the paper states, `reaches` the range which that is read as.
    """

    name: str
    text: str
    condition: str
    metric: Metric = "intent"
    compare: Comparison
    paper: str
    reaches: tuple[float, float] = ABOVE
    floor: float = 0.0
    corpora: tuple[str, ...]
    every_corpus: bool = True
    source: str


ALIGNED, ZERO_SHOT, TARGET = System(method="xeroalign"), System(method="zero_shot"), System(method="target")
TRANSLATED, TARGET_ENGLISH = System(method="translate_train"), System(method="target_english")
BASE, LARGE = System(method="xeroalign", size="base"), System(method="xeroalign", size="large")
BASE_GAIN_OVER_LARGE_GAIN = Comparison(
    plus=(BASE, System(method="zero_shot", size="large")), minus=(LARGE, System(method="zero_shot", size="base"))
)
BEST_BASELINE = Comparison(plus=(ALIGNED,), best_of=(TARGET, TRANSLATED), if_tested=(TARGET_ENGLISH,))


def _over(other: System) -> Comparison:
    return Comparison(plus=(ALIGNED,), minus=(other,))


def _both(
    name: str, corpus: str, text: str, needs: str, compare: Comparison, gains: tuple[float, float]
) -> list[Claim]:
    """Return the claims of a corpus on intents and on slots: at least these gains, and above 0 where they are."""
    metrics: tuple[tuple[str, Metric, str], ...] = (("a", "intent", "intent accuracy"), ("b", "slots", "slot F1"))
    return [
        Claim(
            name=f"{name}{letter}",
            text=f"{corpus}: {words} {text}",
            condition=f"{corpus} in {len(LANGUAGES[corpus])} languages; {needs}",
            metric=metric,
            compare=compare,
            paper=f"{gain:+}" if gain > 0 else f"0 (from {gain}) or above",
            reaches=(gain, inf),
            floor=min(gain, 0.0),
            corpora=(corpus,),
            source=f"{PAPER}, results on {corpus}",
        )
        for (letter, metric, words), gain in zip(metrics, gains, strict=True)
    ]


LEFT_OUT = (
    "of the 2,000 rows a language that the paper scored, those published untranslated (NS) are left out, but not with "
    "`recipe: published`"
)


def _pawsx(name: str, text: str, needs: str, compare: Comparison, paper: str, least: float) -> Claim:
    return Claim(
        name=name,
        text=f"pawsx: accuracy {text}",
        condition=f"pawsx in 6 languages; xeroalign and {needs}; {LEFT_OUT}",
        compare=compare,
        paper=paper,
        reaches=(least, inf),
        floor=min(least, 0.0),
        corpora=("pawsx",),
        source=f"{PAPER}, results on PAWS-X",
    )


CLAIMS = (
    Claim(
        name="1a",
        text="alignment improves zero-shot intent accuracy by about 5 to 10 points",
        condition="mtop, mtod or multiatis; xeroalign and zero_shot of one size",
        compare=_over(ZERO_SHOT),
        paper="+5 to +10",
        reaches=(5.0, 10.0),
        corpora=TASK_ORIENTED,
        every_corpus=False,
        source=f"{PAPER}, results",
    ),
    Claim(
        name="1b",
        text="and improves it more for the base size than for the large one",
        condition="mtop, mtod or multiatis; xeroalign and zero_shot, each base and large",
        compare=BASE_GAIN_OVER_LARGE_GAIN,
        paper="above 0",
        corpora=TASK_ORIENTED,
        every_corpus=False,
        source=f"{PAPER}, results",
    ),
    *_both("2", "mtop", OVER_BASELINES, "xeroalign, target, translate_train", BEST_BASELINE, (1.1, 2.4)),
    *_both("3", "multiatis", OVER_BASELINES, "xeroalign, target, translate_train", BEST_BASELINE, (1.1, 3.2)),
    *_both("4", "mtod", "above translate_train", "xeroalign and translate_train", _over(TRANSLATED), (1.3, 5.0)),
    *_both(
        *("5", "mtod", "of aligned base is at or slightly above aligned large", "xeroalign, base and large"),
        Comparison(plus=(BASE,), minus=(LARGE,)),
        (-AS_GOOD, -AS_GOOD),
    ),
    Claim(
        name="6",
        text="aligned intent accuracy exceeds that of training on labelled target data, averaged over the three",
        condition="mtop, mtod and multiatis; xeroalign and target of one size",
        compare=_over(TARGET),
        paper="above 0",
        corpora=TASK_ORIENTED,
        source=f"{PAPER}, abstract and results",
    ),
    _pawsx("7a", "above labelled target data by over 1 point", "target", _over(TARGET), "over +1", 1.0),
    _pawsx("7b", "above translate_train by over 1 point", "translate_train", _over(TRANSLATED), "over +1", 1.0),
    _pawsx("7c", "above zero-shot by almost 3 points", "zero_shot", _over(ZERO_SHOT), "almost +3 (2.5 or more)", 2.5),
    _pawsx("8a", "above VECO", "VECO's, published", Comparison(plus=(ALIGNED,), literature="VECO"), "+0.1", 0.1),
    _pawsx(
        *("8b", "no more than 0.2 below FILTER", "FILTER's, published"),
        *(Comparison(plus=(ALIGNED,), literature="FILTER"), "-0.2", -0.2),
    ),
    Claim(
        name="9",
        text="alignment brings the embeddings of translations closer than training without it",
        condition="any corpus; tested xeroalign and zero_shot trials, both inspected",
        metric="closeness",
        compare=_over(ZERO_SHOT),
        paper="closer",
        corpora=(),
        source=f"{PAPER}, introduction",
    ),
)


Name = Annotated[str, AfterValidator(clean_label)]


class Published(BaseModel):
    """A score that somebody published: the mean over these languages, in percent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: Name
    corpus: Name
    metric: Literal["intent", "slots"]
    value: float = Field(ge=0, le=100)
    languages: tuple[Name, ...] = Field(min_length=1)
    source: str = Field(min_length=1)


class _File(RootModel[tuple[Published, ...]]):
    """A list of published scores."""


def read_literature(path: Path) -> tuple[Published, ...]:
    """Read published scores. Raises UsageError with one line a fault."""
    try:
        found = _File.model_validate(load_yaml_file(path, path.read_text(encoding="utf-8"))).root
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--literature {path}: cannot be read as text ({error}); give another file") from None
    except ValidationError as error:
        raise UsageError("\n".join(value_faults(str(path), error))) from None
    for one in found:
        if find_published(found, one.system, one.corpus, one.metric) is not one:
            raise UsageError(f"{path}: {one.system} on {one.corpus}, {one.metric}, is given twice; keep one")
    return found


def find_published(scores: Iterable[Published], system: str, corpus: str, metric: str) -> Published | None:
    """Return a system's score on a corpus."""
    return next((one for one in scores if (one.system, one.corpus, one.metric) == (system, corpus, metric)), None)
