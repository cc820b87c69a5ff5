"""The card of a registered model. In: its search's record, the winner's job. Out: a README.md in Hugging Face's form.

What is not known (the licence of an encoder that came from a folder) is called unknown.
"""

from collections.abc import Mapping

from ruamel.yaml import YAML
from ruamel.yaml.compat import StringIO

from xa_search import __version__
from xa_search.corpora import CATALOGUE
from xa_search.model.sizes import licence_of
from xa_search.records import SearchRecord, TrialJob
from xa_search.records.confirmation import confirmed_of
from xa_search.tracking.report import METRICS, language_rows, language_table
from xa_search.training.registry import is_zero_shot, method_of

CARD = "README.md"
UNKNOWN = "unknown"
SPDX = {"MIT": "mit", "Apache-2.0": "apache-2.0", "CC BY 4.0": "cc-by-4.0", "CC BY-SA 4.0": "cc-by-sa-4.0"}
"""Licences as they are called here, and as Hugging Face calls them."""


def model_card(record: SearchRecord, job: TrialJob, corpus: str, name: str, scores: Mapping[str, float]) -> str:
    """Return the card of the winner's model, registered as `name`. `scores` are its own test metrics, 0 to 1."""
    return f"---\n{_front_matter(record, job, corpus, name, scores)}---\n\n{_text(record, job, corpus, name)}"


def _front_matter(record: SearchRecord, job: TrialJob, corpus: str, name: str, scores: Mapping[str, float]) -> str:
    licence, hub_id = licence_of(job.encoder.size)
    tests = {metric: value for metric, value in scores.items() if metric.removeprefix("test_") in _shown(record, job)}
    results = [
        {
            "task": {"type": "text-classification", "name": "intents and slots"},
            "dataset": {"name": f"{corpus} ({lang})", "type": corpus, "config": lang, "split": "test"},
            "metrics": [
                {"type": metric.removesuffix(f"_{lang}"), "value": round(value, 4)}
                for metric, value in tests.items()
                if metric.endswith(f"_{lang}")
            ],
        }
        for lang in _languages(record, job)
    ]
    fields = {
        "language": list(_languages(record, job)),
        "license": SPDX.get(licence, "other" if licence else UNKNOWN),
        "library_name": "transformers",
        "pipeline_tag": "token-classification",
        **({"base_model": hub_id} if hub_id else {}),
        "tags": ["intent-classification", "slot-filling", "cross-lingual", "xeroalign"],
        "model-index": [{"name": name, "results": [one for one in results if one["metrics"]]}],
    }
    text = StringIO()
    yaml = YAML()
    yaml.width = 10_000
    yaml.dump(fields, text)
    found: str = text.getvalue()
    return found


def _shown(record: SearchRecord, job: TrialJob) -> set[str]:
    return {f"{kind}_{lang}" for kind in METRICS.values() for lang in _languages(record, job)}


def _languages(record: SearchRecord, job: TrialJob) -> tuple[str, ...]:
    return (record.source, *job.corpus.targets, *record.unseen_languages)


def _which(record: SearchRecord) -> str:
    """Say what the registered model is: a trial, one's settings with a fresh seed, or the mean of several."""
    if record.soup is not None and record.winner == record.soup.number:
        return f"the mean of the trials {', '.join(map(str, record.soup.members))}"
    if record.confirmation is not None:
        trial, seed = confirmed_of(record.winner)
        return f"the settings of trial {trial} with the fresh seed {seed}"
    return f"trial {record.winner}"


def _text(record: SearchRecord, job: TrialJob, corpus: str, name: str) -> str:
    settings = record.trial(record.winner).settings
    method = method_of(settings)
    licence, hub_id = licence_of(job.encoder.size)
    entry = CATALOGUE.get(corpus)
    targets = ", ".join(job.corpus.targets)
    labelled = f"labelled {record.source} utterances" if method.source_rows else "labelled utterances of the targets"
    zero_shot = is_zero_shot(record.selection, [settings.method])
    lines = [
        f"# {name}",
        "",
        f"Intents and slots of utterances in {record.source} (source) and {targets} (targets), by one model: winner "
        f"({_which(record)}) of the search `{record.search_id}` by xa-search {__version__}.",
        "",
        "## What it learned from",
        "",
        f"- Corpus `{corpus}`: {labelled}, method `{settings.method}`, {settings.epochs} epochs at a learning rate of "
        f"{settings.learning_rate:.3g}.",
        f"- Chosen by `{record.selection}`; {'no' if zero_shot else 'with'} labels of target languages.",
        f"- Encoder: {hub_id or job.encoder.size} ({job.encoder.origin}, revision {job.encoder.revision}).",
        "",
        "## Licences",
        "",
        f"- Encoder: {licence or UNKNOWN}.",
        f"- Corpus: {(entry.licence if entry is not None else '') or UNKNOWN}.",
        "",
        "## Scores on the test splits, in percent",
        "",
        language_table(language_rows(record)),
        "One search, its seeds and one test set: differences of a point or two may be chance.",
        *([f"Unseen languages: {', '.join(record.unseen_languages)}."] if record.unseen_languages else []),
        "",
        "## Limits",
        "",
        f"- It knows {len(job.corpus.intents)} intents and answers with one of them, whatever it is asked.",
        f"- It reads {settings.max_tokens} sub-words of a text; what follows is not read, and has no slots.",
        "- Other languages than those above, other domains and other speakers than the corpus's were not tested.",
        "",
    ]
    return "\n".join(lines)
