"""A file in a tar.gz, without reading all that lies before it. In: the archive. Out: its files' names, or one's bytes.

The archive is decompressed once, from front to back, to list its files. On the way, the state of the decompression is
kept every few megabytes, 40 kB each: a file is then read from the last such state before it.
"""

import io
import tarfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

CHUNK = 1 << 17
APART = 1 << 23
GZIP = 31
KEPT_ARCHIVES = 2


@dataclass(frozen=True, slots=True)
class _State:
    """Where the decompression was: bytes that had come out, bytes that had gone in, and what goes on from there."""

    out: int
    read: int
    decompressor: Any


@dataclass(frozen=True, slots=True)
class TarIndex:
    """The files of an archive by name, with the place and the size of each, and states to begin from."""

    root: Path
    members: dict[str, tuple[int, int]]
    states: tuple[_State, ...]

    def open(self, name: str) -> IO[bytes]:
        """Open a file of the archive."""
        place, size = self.members[name]
        state = next(state for state in reversed(self.states) if state.out <= place)
        stream = _Decompressed(self.root, state)
        stream.skip(place - state.out)
        return io.BufferedReader(_Part(stream, size), CHUNK)


def tar_index(root: Path) -> TarIndex:
    """Return the index of an archive; it is made anew where the file has changed. Raises what a broken one raises."""
    status = root.stat()
    return _made(root, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=KEPT_ARCHIVES)
def _made(root: Path, _size: int, _changed: int) -> TarIndex:
    states: list[_State] = []
    stream = _Decompressed(root, _State(0, 0, zlib.decompressobj(GZIP)), states)
    members = {}
    with stream, tarfile.open(fileobj=io.BufferedReader(stream, CHUNK), mode="r|") as archive:
        for member in archive:
            if member.isreg() and not member.issparse():
                members[member.name.removeprefix("./")] = (member.offset_data, member.size)
        while stream.read(CHUNK):  # to the end, where the checksum is
            pass
    return TarIndex(root, members, tuple(states))


class _Decompressed(io.RawIOBase):
    """The decompressed bytes of a file from a state on; notes states on the way where it gets a list for them."""

    def __init__(self, root: Path, state: _State, states: list[_State] | None = None) -> None:
        self._file = root.open("rb")
        self._file.seek(state.read)
        self._decompressor = state.decompressor.copy()
        self._buffer = b""
        self._begin = 0
        self._out = state.out
        self._states = states
        if states is not None:
            states.append(_State(0, 0, self._decompressor.copy()))

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, target: Any) -> int:
        """Fill some of a buffer; 0 at the end."""
        if self._begin == len(self._buffer) and not self._more():
            return 0
        count = min(len(target), len(self._buffer) - self._begin)
        target[:count] = self._buffer[self._begin : self._begin + count]
        self._begin += count
        return count

    def skip(self, count: int) -> None:
        """Go on by so many bytes."""
        while count > 0 and (self._begin < len(self._buffer) or self._more()):
            step = min(count, len(self._buffer) - self._begin)
            self._begin += step
            count -= step

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def _more(self) -> bool:
        self._buffer, self._begin = b"", 0
        while not self._buffer:
            if self._decompressor.eof:  # a gzip file may have several parts
                rest = self._decompressor.unused_data.lstrip(b"\0") or self._file.read(CHUNK).lstrip(b"\0")
                if not rest:
                    return False
                self._decompressor = zlib.decompressobj(GZIP)
            else:
                rest = self._file.read(CHUNK)
                if not rest:
                    raise EOFError("it ends early")
            self._buffer = self._decompressor.decompress(rest)
        self._out += len(self._buffer)
        if self._states is not None and self._out - self._states[-1].out >= APART and not self._decompressor.eof:
            self._states.append(_State(self._out, self._file.tell(), self._decompressor.copy()))
        return True


class _Part(io.RawIOBase):
    """So many bytes of a stream."""

    def __init__(self, stream: _Decompressed, size: int) -> None:
        self._stream = stream
        self._left = size

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, target: Any) -> int:
        """Fill some of a buffer; 0 at the end. Raises EOFError where the archive ends before."""
        if not self._left:
            return 0
        count = self._stream.readinto(memoryview(target)[: self._left])
        if not count:
            raise EOFError("it ends early")
        self._left -= count
        return count

    def close(self) -> None:
        """Close the archive."""
        self._stream.close()
        super().close()
