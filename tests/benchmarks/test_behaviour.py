"""What the record of the program's behaviour leaves out, what it keeps, and which differences it finds."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import pytest
from behaviour_commands import commands_in, read_cases
from behaviour_inputs import write_inputs
from behaviour_text import differences, normal_json, normal_lines, normal_text, shape

TABLE = """Trials by label_free score
┏━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━━━┓
┃ trial ┃ parameters ┃ seconds ┃
┡━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━━━┩
│ 0     │ rate=0.001 │      {} │
│       │ size=tiny  │         │
│ 1     │ rate=0.002 │      {} │
└───────┴────────────┴─────────┘
"""


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("[1:05] trial 2 COMPLETE: score 4.2, 36 s; best so far", "[<clock>] trial 2 COMPLETE: score 4.2, <number> s;"),
        ("error: /some/place/search_spaces/mtop.yaml: trails", "error: <checkout>/search_spaces/mtop.yaml: trails"),
        ("weights: /tmp/a/home/searches/x", "weights: <home>/searches/x"),
        ("about 214 MB to come, 82.0 GB free", "about <size> to come, <size> free"),
        ("ValueError: no (training/trial.py:45 in train)", "ValueError: no (<code>)"),
        ("cluster/gpu.yaml:27: example", "cluster/gpu.yaml:27: example"),
        ("mtop-mini-5fb1b492 of process 4711", "mtop-mini-5fb1b492 of process <number>"),
        ("started 2026-11-28 10:56", "started <date>"),
    ],
)
def test_what_differs_from_run_to_run_is_replaced_and_nothing_else(text: str, normal: str) -> None:
    assert normal_text(text, {"/tmp/a": "<folder>", "/tmp/a/home": "<home>"}).startswith(normal)


def test_a_table_is_a_line_a_row_without_its_times() -> None:
    lines = normal_lines(TABLE.format(1, 2), {})
    assert lines[1:4] == ["trial | parameters | seconds", "0 | rate=0.001 size=tiny | <...>", "1 | rate=0.002 | <...>"]
    assert lines == normal_lines(TABLE.format(9, 8), {})
    assert lines != normal_lines(TABLE.format(1, 2).replace("0.002", "0.003"), {})


def test_a_markdown_table_keeps_its_empty_cells() -> None:
    text = "| trial | seconds | failure |\n| --- | --- | --- |\n| 0 | 2 |  |\n| 1 | 3 | oom |\nend"
    assert normal_lines(text, {}) == ["trial | seconds | failure", "0 | <...> |", "1 | <...> | oom", "end"]


def test_numbers_keep_six_digits_and_shapes_the_types() -> None:
    assert normal_json({"a": [0.123456789, "12 s"]}, {}) == {"a": [0.123457, "<number> s"]}
    assert shape({"a": [1, 2.5], "b": None}) == {"a": ['"number"'], "b": "NoneType"}


def test_each_difference_is_found_with_its_place() -> None:
    before = {"help": {"run": ["Usage", "--seed"]}, "sha256": {"best": "a"}, "gone": 1, "same": [1, {"x": 2}]}
    after = {"help": {"run": ["Usage", "--sed"]}, "sha256": {"best": "b"}, "new": 2, "same": [1, {"x": 2}]}
    found = "\n".join(differences(before, after))
    assert "help > run:\n    ---seed\n    +--sed" in found
    assert 'sha256 > best: was "a", is "b"' in found
    assert "gone: gone, was 1" in found
    assert "new: new, is 2" in found
    assert "same" not in found
    assert not list(differences(before, before))


def test_help_tells_the_commands_below() -> None:
    printed = ["Usage: x", "", "Commands:", "  run       Search a space", "            and more", "  data  Look"]
    assert list(commands_in(printed)) == ["run", "data"]
    assert not list(commands_in(["Usage: x", "  --help  Show"]))


def test_every_file_that_a_command_is_given_is_written_or_meant_to_be_missing(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    missing = set()
    for case in (case for cases in read_cases().values() for case in cases):
        words = [Path(word) for word in case.words(tmp_path) if word.startswith(str(tmp_path))]
        missing |= {word.name for word in words if not word.exists()}
    assert missing == {"none", "none.yaml", "none.zip"}
