from pathlib import Path

import torch

from xa_search.training.device import choose_precision, resolve_precision


def test_the_choice_is_measured_once_and_kept(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    first = choose_precision(torch.device("cpu"), 1, tmp_path)
    assert first.precision == ("bf16" if first.bf16_seconds * 1.15 < first.fp32_seconds else "fp32")
    assert choose_precision(torch.device("cpu"), 1, tmp_path) == first
    assert resolve_precision("auto", torch.device("cpu"), 1, tmp_path) == first.precision
    assert torch.get_num_threads() == threads


def test_what_is_asked_for_is_not_measured(tmp_path: Path) -> None:
    assert resolve_precision("fp32", torch.device("cpu"), 1, tmp_path) == "fp32"
    assert list(tmp_path.iterdir()) == []
