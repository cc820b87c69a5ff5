"""Slot spans and their F1 are seqeval's, for any IOB2 tags, well-formed or not."""

import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import f1_score
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2

from xa_search.training.metrics import slot_f1, slot_f1_strict, slot_spans

TAGS = st.sampled_from(["O", "B-a", "I-a", "B-b", "I-b", "B-a-b", "I-a-b"])
ROWS = st.lists(st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=8), min_size=1, max_size=6)


@given(st.lists(TAGS, max_size=12))
def test_spans(tags: list[str]) -> None:
    assert slot_spans(tags) == get_entities(tags)


@settings(max_examples=60)
@given(ROWS)
def test_f1(rows: list[list[tuple[str, str]]]) -> None:
    gold, predicted = ([[pair[side] for pair in row] for row in rows] for side in (0, 1))
    assert slot_f1(gold, predicted) == f1_score(gold, predicted, zero_division=0)
    strict = f1_score(gold, predicted, mode="strict", scheme=IOB2, zero_division=0)
    assert abs(slot_f1_strict(gold, predicted) - strict) < 1e-12


def test_no_process_of_a_search_loads_scikit_learn() -> None:
    program = "import sys, xa_search.workflows.local_models, xa_search.training.trial; print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
