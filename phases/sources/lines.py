"""Lines of a file of any size, plain, gzip or zstandard, in constant memory.

Both decoders are fed in small pieces, because that is what bounds their output: a zstandard frame that
states its size ignores every output limit. A gzip piece grows at most 1,032 times and 4 bytes of zstandard
can stand for a block of 128 KiB, so one piece never becomes more than 32 MiB.

A zstandard archive may ask for a window of up to 2 GiB; that much memory is then the decoder's.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

import zstandard

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_LINE_BYTES: Final = 4 * 2**20
"""Reddit's longest text has 40,000 characters; no honest line comes near."""
BUFFER_BYTES: Final = 2**18
BOM: Final = b"\xef\xbb\xbf"


class TooManyBytes(Exception):
    """The file unpacks to more bytes than allowed."""


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _zstandard() -> _Decoder:
    return zstandard.ZstdDecompressor(max_window_size=2**31).decompressobj()


def _gzip() -> _Decoder:
    return zlib.decompressobj(wbits=31)


@dataclass(frozen=True, slots=True)
class _Format:
    magic: bytes
    piece_bytes: int
    decoder: Callable[[], _Decoder] | None


_FORMATS: Final = (
    _Format(b"\x1f\x8b", 2**14, _gzip),
    _Format(b"\x28\xb5\x2f\xfd", 2**10, _zstandard),
    # A zstandard file may begin with one of 16 kinds of skippable frame.
    *(_Format(bytes([kind]) + b"\x2a\x4d\x18", 2**10, _zstandard) for kind in range(0x50, 0x60)),
)
_PLAIN: Final = _Format(b"", BUFFER_BYTES, None)


class _Unpacked(io.RawIOBase):
    """The bytes inside a file; where the file is cut or damaged they end, and `damage` says so."""

    def __init__(self, file: io.BufferedReader, *, max_bytes: int) -> None:
        head = file.peek(4)[:4]
        self._file = file
        self._format = next((form for form in _FORMATS if head.startswith(form.magic)), _PLAIN)
        self._decoder: _Decoder | None = None
        self._max_bytes = max_bytes
        self._pending = memoryview(b"")
        self.bytes_out = 0
        self.damage: str | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        while not self._pending and (piece := self._read_piece()):
            self._pending = memoryview(self._unpack(piece))
        view = memoryview(buffer)
        count = min(len(view), len(self._pending))
        view[:count] = self._pending[:count]
        self._pending = self._pending[count:]
        self._count(count)
        return count

    def _read_piece(self) -> bytes:
        if self.damage is not None:
            return b""
        piece = self._file.read(self._format.piece_bytes)
        if not piece and self._decoder is not None and not self._decoder.eof:
            self.damage = "the file ends in the middle of a compressed frame"
        return piece

    def _unpack(self, piece: bytes) -> bytes:
        if self._format.decoder is None:
            return piece
        unpacked: list[bytes] = []
        try:
            while piece:
                if self._decoder is None or self._decoder.eof:
                    piece = piece.lstrip(b"\0")  # gzip allows padding between members
                    self._decoder = self._format.decoder() if piece else None
                    continue
                unpacked.append(self._decoder.decompress(piece))
                piece = self._decoder.unused_data
        except (zlib.error, zstandard.ZstdError) as error:
            self.damage = str(error)
        return b"".join(unpacked)

    def _count(self, count: int) -> None:
        self.bytes_out += count
        if self.bytes_out > self._max_bytes:
            raise TooManyBytes


class Lines:
    """Iterates over a file's lines as bytes; `None` stands for one longer than `MAX_LINE_BYTES`.

    A last line without a line feed counts, unless the file is damaged: then it is a torn one.
    """

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self._file = path.open("rb")
        self._unpacked = _Unpacked(self._file, max_bytes=max_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[bytes | None]:
        buffered = io.BufferedReader(self._unpacked, BUFFER_BYTES)
        if buffered.peek(3)[:3] == BOM:
            buffered.read(3)
        while line := buffered.readline(MAX_LINE_BYTES + 1):
            whole = line.endswith(b"\n")
            if not whole and len(line) > MAX_LINE_BYTES:
                _skip_line(buffered)
                yield None
            elif whole or self.damage is None:
                yield line

    @property
    def damage(self) -> str | None:
        """What is wrong with the file's end, once it was reached; `None` where nothing is."""
        return self._unpacked.damage

    @property
    def bytes_in(self) -> int:
        """How many bytes of the file were read."""
        return self._file.tell()

    @property
    def bytes_out(self) -> int:
        """How many bytes they unpacked to."""
        return self._unpacked.bytes_out


def _skip_line(buffered: io.BufferedReader[_Unpacked]) -> None:
    while (rest := buffered.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
        pass
