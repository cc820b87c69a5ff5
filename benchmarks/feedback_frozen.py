"""The same question with the encoder frozen: the heads alone learn. In: references of feedback.py. Out: answer tables.

    python benchmarks/feedback_frozen.py mtop-part --data mtop-part.zip --home HOME --counts 100 300 \
        --seeds 1 2 3 4 5 --out benchmarks/results/feedback_frozen_mtop.json

What the encoder makes of every row is computed once a reference and kept in the home; a cell then takes about a second.
The losses, the arms, the judges and the answer are the program's own; alignment has nothing to move here, and is left
out of the sum. The learning rate and beta are chosen once, on the English arm of the aligned reference, by the mean of
label_free and source_dev.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from feedback import REFERENCES, TUNED_ON, Work, condition
from machine import describe_machine
from results_file import command_line, write_json
from torch import nn
from torch.nn import functional

from xa_search.encoding.batches import shuffled_batches
from xa_search.encoding.files import write_whole
from xa_search.encoding.store import table_path
from xa_search.encoding.table import EncodedRow, EncodedTable
from xa_search.feedback.answer import Answer, Tested, answer, answer_table
from xa_search.feedback.arms import ARMS
from xa_search.feedback.lessons import LabelNumbers, Lesson, ReferenceLogits, collate, lesson_of
from xa_search.feedback.objective import RewardShift, lesson_losses, lessons_of_step
from xa_search.records.feedback import Arm, FeedbackSettings
from xa_search.training.data import held_out_pairs, source_dev_rows, split_rows, trial_split
from xa_search.training.evaluation import Logits, Predictor, label_free_metrics, labelled_metrics
from xa_search.training.final_test import outcomes_of, read_outcomes, trained_predictor, write_outcomes
from xa_search.training.selection import LABEL_FREE, SOURCE_DEV
from xa_search.workflows.feedback_arms import Reference, Simulation, judge_asked, simulated_arm

RATES, BETAS = (3e-4, 1e-3, 3e-3), (0.1, 0.3, 1.0)
STEPS, BATCH = 200, 16
TUNING_SEED = 100


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the encoder makes of rows: sentences [R, H], words [S, H], and where the words of each row begin."""

    rows: list[EncodedRow]
    sentences: torch.Tensor
    words: torch.Tensor
    starts: np.ndarray

    def words_of(self, places: Sequence[int]) -> torch.Tensor:
        """Return the words of some rows, one row after the other."""
        return torch.cat([self.words[self.starts[place] : self.starts[place + 1]] for place in places])


def look(predictor: Predictor, rows: list[EncodedRow]) -> Seen:
    """Encode rows once, without dropout."""
    model = predictor.model.eval()
    starts = np.concatenate([[0], np.cumsum([len(row.positions) for row in rows])])
    sentences: list[torch.Tensor] = []
    words: list[torch.Tensor] = []
    order = np.argsort(predictor.collator.lengths(rows), kind="stable")
    for start in range(0, len(rows), 64):
        places = order[start : start + 64]
        with torch.no_grad():  # tensors of inference mode could not be learned from
            sentence, of_words = model.embed(predictor.collator([rows[place] for place in places]))
        sentences += sentence
        words += of_words.split([len(rows[place].positions) for place in places])
    back = np.argsort(order)
    return Seen(
        rows=rows,
        sentences=torch.stack([sentences[place] for place in back]),
        words=torch.cat([words[place] for place in back]),
        starts=starts,
    )


class Bench:
    """A reference with everything that it is asked about, seen once."""

    def __init__(self, work: Work, reference: Reference) -> None:
        self.work, self.reference, self.asked = work, reference, work.asked(reference)
        work.open_test(reference)
        job = reference.job
        self.selecting, _ = held_out_pairs(job.corpus, trial_split(job.corpus, job.settings))
        kept = job.directory / "seen.pt"
        self.predictor = trained_predictor(job, reference.weights)
        rows = dict(self._rows())
        if kept.exists():
            tensors = torch.load(kept, weights_only=True)
            self.seen = {
                name: Seen(rows=rows[name], sentences=one[0], words=one[1], starts=one[2].numpy())
                for name, one in tensors.items()
            }
        else:
            self.seen = {name: look(self.predictor, of_name) for name, of_name in rows.items()}
            found = {
                name: (one.sentences.clone(), one.words.clone(), torch.from_numpy(one.starts))
                for name, one in self.seen.items()
            }
            write_whole(kept, lambda path: torch.save(found, path))

    def _rows(self) -> Iterator[tuple[str, list[EncodedRow]]]:
        job = self.reference.job
        split = trial_split(job.corpus, job.settings)
        yield "train", EncodedTable(table_path(job.corpus, "train", job.corpus.source)).rows(split.train)
        yield "dev", source_dev_rows(job.corpus, split, job.settings.dev_limit)
        for lang in job.corpus.aligned:
            yield f"held_out {lang}", self.selecting.read(lang)[1]
        for lang, rows in self.asked.pool.rows.items():
            yield f"pool {lang}", rows
        for lang in self.work.plan.space.tested_languages:
            yield f"test {lang}", split_rows(job.corpus, "test", lang, job.settings.test_limit)

    def read(self, name: str, heads: "Heads") -> list[Any]:
        """Return what heads predict of rows that were seen."""
        seen = self.seen[name]
        with torch.inference_mode():
            found = Logits(
                places=np.arange(len(seen.rows)),
                batch=self.predictor.collator(seen.rows),
                intents=heads.intent(seen.sentences),
                slots=heads.slot(seen.words),
            )
            return self.predictor.read(seen.rows, [found])

    def test(self, heads: "Heads") -> Tested:
        """Return what heads get right of the test splits."""
        languages = self.work.plan.space.tested_languages
        return {
            lang: outcomes_of(self.seen[f"test {lang}"].rows, self.read(f"test {lang}", heads)) for lang in languages
        }

    def score(self, heads: "Heads") -> float:
        """Return the mean of label_free and source_dev."""
        corpus = self.reference.job.corpus
        found = labelled_metrics(self.seen["dev"].rows, self.read("dev", heads), "dev", corpus.source)
        for lang in corpus.aligned:
            said = self.read(f"held_out {lang}", heads)
            found |= label_free_metrics(self.selecting.read(lang)[0], said, lang, has_slots=corpus.has_slots)
        return (LABEL_FREE.score(found, corpus) + SOURCE_DEV.score(found, corpus)) / 2


class Heads(nn.Module):
    """The two heads of a reference, to learn on."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        model = predictor.model
        self.intent = nn.Linear(model.intent_head.in_features, model.intent_head.out_features)
        self.slot = nn.Linear(model.slot_head.in_features, model.slot_head.out_features)
        self.intent.load_state_dict(model.intent_head.state_dict())
        self.slot.load_state_dict(model.slot_head.state_dict())


def learn(bench: Bench, simulation: Simulation, settings: FeedbackSettings) -> Heads:
    """Let the heads of a reference learn from an arm, beside the labelled rows."""
    heads, corpus = Heads(bench.predictor), bench.reference.job.corpus
    pool = judge_asked(bench.reference, bench.asked, simulation, settings.seed)
    judgements = simulated_arm(bench.reference, pool, settings.arm, settings.seed)
    numbers = LabelNumbers(corpus.intents, corpus.slot_tags)
    seen = Seen(
        rows=[row for lang in pool.judged for row in bench.seen[f"pool {lang}"].rows],
        sentences=torch.cat([bench.seen[f"pool {lang}"].sentences for lang in pool.judged]),
        words=torch.cat([bench.seen[f"pool {lang}"].words for lang in pool.judged]),
        starts=_joined([bench.seen[f"pool {lang}"].starts for lang in pool.judged]),
    )
    place_of = {
        (lang, row.id): at
        for at, (lang, row) in enumerate((lang, row) for lang in pool.judged for row in bench.seen[f"pool {lang}"].rows)
    }
    places = [place_of[one.lang, one.source_id or ""] for one in judgements]
    lessons = [lesson_of(one, seen.rows[at], at) for one, at in zip(judgements, places, strict=True)]
    with torch.no_grad():
        kept = ReferenceLogits(
            intents=heads.intent(seen.sentences), slots=heads.slot(seen.words), starts=torch.from_numpy(seen.starts)
        )
    optimizer, shift = torch.optim.Adam(heads.parameters(), lr=settings.learning_rate), RewardShift()
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = _replay(bench, heads, step, settings.seed)
        if lessons:
            chosen = [lessons[at] for at in lessons_of_step(len(lessons), step, BATCH, settings.seed)]
            loss = loss + _lesson_loss(bench, heads, chosen, seen, kept, numbers, settings, shift)
        loss.backward()
        optimizer.step()
    return heads


def _joined(starts: list[np.ndarray]) -> np.ndarray:
    found = [starts[0]]
    for one in starts[1:]:
        found.append(one[1:] + found[-1][-1])
    return np.concatenate(found)


def _replay(bench: Bench, heads: Heads, step: int, seed: int) -> torch.Tensor:
    seen = bench.seen["train"]
    lengths = np.ones(len(seen.rows), dtype=np.int64)
    each = -(-len(seen.rows) // BATCH)
    places = shuffled_batches(lengths, BATCH, np.random.default_rng([seed, step // each]))[step % each]
    batch = bench.predictor.collator([seen.rows[place] for place in places])
    intent = functional.cross_entropy(heads.intent(seen.sentences[places]), batch.intents)
    return intent + functional.cross_entropy(heads.slot(seen.words_of(places.tolist())), batch.slots)


def _lesson_loss(
    bench: Bench,
    heads: Heads,
    lessons: list[Lesson],
    seen: Seen,
    kept: ReferenceLogits,
    numbers: LabelNumbers,
    settings: FeedbackSettings,
    shift: RewardShift,
) -> torch.Tensor:
    places = [lesson.place for lesson in lessons]
    batch = collate(lessons, bench.predictor.collator, kept, numbers)
    intents, slots = heads.intent(seen.sentences[places]), heads.slot(seen.words_of(places))
    return torch.stack(list(lesson_losses(intents, slots, batch, settings, shift).values())).sum()


def settings_of(arm: Arm, seed: int, rate: float, beta: float, loss: str) -> FeedbackSettings:
    return FeedbackSettings.model_validate(
        {"arm": arm, "seed": seed, "learning_rate": rate, "beta": beta, "loss": loss}
    )


def cell(bench: Bench, simulation: Simulation, settings: FeedbackSettings) -> Tested:
    """Return what a cell gets right of the test splits; a finished one is read."""
    name = f"{condition(simulation)}-{settings.loss}-{settings.learning_rate:g}-{settings.beta:g}"
    method = bench.reference.job.settings.method
    folder = bench.work.cells / "frozen" / name / method / f"{settings.arm}-{settings.seed}"
    if found := read_outcomes(folder):
        return found
    tested = bench.test(learn(bench, simulation, settings))
    write_outcomes(tested, folder)
    return tested


def tuned(bench: Bench, simulation: Simulation, loss: str) -> dict[str, Any]:
    """Choose the learning rate and beta on the English arm, without any target label or test split."""
    tried = []
    for rate in RATES:
        for beta in BETAS if loss == "preference" else BETAS[:1]:
            heads = learn(bench, simulation, settings_of("english", TUNING_SEED, rate, beta, loss))
            tried.append({"learning_rate": rate, "beta": beta, "score": bench.score(heads)})
    best = max(tried, key=lambda one: one["score"])
    return {"chosen": best, "tried": tried}


def kept_tuned(bench: Bench, simulation: Simulation, loss: str) -> dict[str, Any]:
    """Return what was chosen; it is chosen once."""
    path = bench.work.cells / "frozen" / f"tuned-{condition(simulation)}-{loss}.json"
    if not path.exists():
        found = tuned(bench, simulation, loss)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda temporary: temporary.write_text(json.dumps(found), encoding="utf-8"))
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 300])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--noise", type=float, default=0.1)
    parser.add_argument("--corrections", type=float, default=0.5)
    parser.add_argument("--sampling", default="uniform", choices=["uniform", "uncertainty"])
    parser.add_argument("--loss", default="preference", choices=["preference", "sft"])
    parser.add_argument("--see", choices=REFERENCES, help="Only encode everything by this reference, and keep it.")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cpu = time.process_time()
    work = Work(options.corpus, options.data.resolve(), options.home.absolute())
    cells = len(options.counts) * len(options.seeds) * len(REFERENCES) * len(ARMS)
    print(f"{cells} cells of a second or two each, and what the encoders see once, about 2 minutes each", flush=True)
    if options.see is not None:
        Bench(work, work.reference(options.see))
        return
    usual = Simulation(
        count=max(options.counts),
        gold=work.setup.gold,
        noise=options.noise,
        corrections=options.corrections,
        sampling=options.sampling,
    )
    benches = {method: Bench(work, work.reference(method)) for method in REFERENCES}
    print(f"seen after {time.process_time() - cpu:.0f} s of processor time", flush=True)
    found = kept_tuned(benches[TUNED_ON], usual, options.loss)
    rate, beta = found["chosen"]["learning_rate"], found["chosen"]["beta"]
    print("chosen", found["chosen"], flush=True)
    answers: dict[str, Answer] = {}
    for method, bench in benches.items():
        before = bench.test(Heads(bench.predictor))
        for count in options.counts:
            simulation = replace(usual, count=count)
            runs = {
                arm: {
                    seed: cell(bench, simulation, settings_of(arm, seed, rate, beta, options.loss))
                    for seed in options.seeds
                }
                for arm in ARMS
            }
            title = f"{work.name}, {method}, encoder frozen, {options.loss}: {simulation}"
            corpus = bench.reference.job.corpus
            answers[title] = answer(runs, before, corpus.source, corpus.targets)
            print(answer_table(answers[title], title), flush=True)
    result = {"command": command_line(), "machine": describe_machine(torch.device("cpu"), 1)}
    result |= {"cpu_seconds": round(time.process_time() - cpu), "seeds": options.seeds, "steps": STEPS, **found}
    write_json(options.out, result | {"answers": {title: asdict(one) for title, one in answers.items()}})
    text = "\n".join(answer_table(one, title) for title, one in answers.items())
    options.out.with_suffix(".md").write_text(text, encoding="utf-8")
    print(json.dumps({"cpu_seconds": result["cpu_seconds"]}))


if __name__ == "__main__":
    main()
