"""A registered model as ONNX. In: a home, a model's name, a folder. Out: the folder's files.

It needs the extra `onnx`: only what is asked for such an export imports this module.
"""

from collections.abc import Callable
from pathlib import Path

from xa_search.tracking.bundle import load_bundle
from xa_search.tracking.onnx_export import export_onnx
from xa_search.workflows.models import named_folder


def export_model_as_onnx(
    home: Path, model: str, directory: Path, *, int8: bool, note: Callable[[str], None] = lambda _: None
) -> tuple[Path, ...]:
    """Write a registered model, named as for `named_bundle`, as ONNX in fp32 or int8; return its files."""
    with named_folder(home, model, note) as bundle:
        return export_onnx(load_bundle(bundle), bundle, directory, int8=int8)
