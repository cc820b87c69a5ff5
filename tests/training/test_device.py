"""Which device a trial takes; Apple's GPU is shown with torch's answer put in its place, since there is none here."""

import pytest
import torch

from xa_search.training import device as devices


@pytest.mark.parametrize(("cuda", "mps", "chosen"), [(False, False, "cpu"), (False, True, "mps"), (True, True, "cuda")])
def test_a_trial_takes_nvidias_gpu_then_apples_then_the_cpu(
    cuda: bool, mps: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert devices.trial_device().type == chosen
