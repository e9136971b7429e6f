"""Find out whether SQLite would lose committed transactions of a damaged write-ahead log.

When SQLite opens a database after a crash, it uses the log's frames up to the first wrong checksum and silently drops
the others. That is correct if the frame belongs to the transaction that was interrupted. If complete transactions
follow it, the log is damaged. (File format: https://www.sqlite.org/fileformat2.html, section 4.)
"""

import struct
from pathlib import Path

MAGIC = 0x377F0682  # checksums are little-endian; if the lowest bit is set, big-endian
HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24


def loses_transactions(path: Path) -> bool:
    """Return whether the log contains transactions after a damaged frame; False if it changes during the check."""
    content = _read(path)
    if not _is_damaged(content):
        return False
    again = _read(path)  # another process may have been writing a frame
    return again[: len(content)] == content and _is_damaged(again)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _is_damaged(content: bytes) -> bool:
    """Return whether more than one transaction ends after the first wrong frame; one may have been interrupted."""
    if len(content) <= HEADER_BYTES:
        return False
    magic, _, page_bytes, _ = struct.unpack_from(">4I", content)
    order = ">" if magic & 1 else "<"
    sums = _checksum(order, content[:24], (0, 0))
    if magic & ~1 != MAGIC or sums != struct.unpack_from(">2I", content, 24):
        return True
    frame_bytes = FRAME_HEADER_BYTES + page_bytes
    is_intact, num_lost = True, 0
    for start in range(HEADER_BYTES, len(content) - frame_bytes + 1, frame_bytes):
        frame = memoryview(content)[start : start + frame_bytes]
        is_of_this_log = frame[8:16] == content[16:24]  # SQLite reuses the file; older frames may follow the log's end
        if is_intact:
            sums = _checksum(order, frame[FRAME_HEADER_BYTES:], _checksum(order, frame[:8], sums))
            is_intact = is_of_this_log and sums == struct.unpack_from(">2I", frame, 16)
        if not is_intact:
            ends_transaction = struct.unpack_from(">I", frame, 4)[0] != 0
            num_lost += is_of_this_log and ends_transaction
    return num_lost > 1


def _checksum(order: str, content: bytes | memoryview, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    for low, high in struct.iter_unpack(f"{order}2I", content):
        first = (first + low + second) & 0xFFFFFFFF
        second = (second + high + first) & 0xFFFFFFFF
    return first, second
