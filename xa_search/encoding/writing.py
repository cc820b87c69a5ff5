"""Files that appear whole or not at all. In: what to write. Out: a file; an encoded table is one in Arrow's format."""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

ROWS_A_CHUNK = 1000

SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "words": pa.list_(pa.string()),
        "input_ids": pa.list_(pa.int32()),
        "positions": pa.list_(pa.int32()),
        "intent": pa.string(),
        "slots": pa.list_(pa.string()),
        "share": pa.float64(),
        "source_row": pa.int64(),
    }
)


def write_table(path: Path, chunks: Iterable[dict[str, Any]]) -> None:
    """Write an encoded table of these chunks of columns."""

    def write(target: Path) -> None:
        with pa.OSFile(str(target), "wb") as file, pa.ipc.new_stream(file, SCHEMA) as writer:
            for columns in chunks:
                writer.write_batch(pa.RecordBatch.from_pydict(columns, schema=SCHEMA))

    write_whole(path, write)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place, then move it there; several processes may do so at once."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        write(temporary)
        os.replace(temporary, path)


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Wait until no other process is in here with the lock file `path`."""
    with path.open("a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
