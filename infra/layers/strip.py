"""Cuts debugging data off the compiled modules under a folder, for whichever machine they are.

    python strip.py FOLDER

A loader reads what the program headers of an ELF file name; the section headers, the debugging sections and
the symbol table behind it serve debuggers alone, and are most of some wheels (14 of uvloop's 16 MB). strip(1)
would do, if it knew foreign machines.
"""

import struct
import sys
from pathlib import Path

ELF64_LITTLE_ENDIAN = b"\x7fELF\x02\x01"

# Offsets in the header of an ELF64 file, and in one program header (elf(5)).
PROGRAM_HEADERS, SECTION_HEADERS, SIZES = 32, 40, 54
SEGMENT_OFFSET, SEGMENT_SIZE = 8, 32


def loaded_size(data: bytes) -> int:
    """Bytes from the start of the file to the end of what a loader reads."""
    (table,) = struct.unpack_from("<Q", data, PROGRAM_HEADERS)
    size, count = struct.unpack_from("<HH", data, SIZES)
    ends: list[int] = [table + size * count]
    for header in range(table, table + size * count, size):
        (offset,) = struct.unpack_from("<Q", data, header + SEGMENT_OFFSET)
        (length,) = struct.unpack_from("<Q", data, header + SEGMENT_SIZE)
        ends.append(offset + length)
    return max(ends)


def stripped(data: bytes) -> bytes:
    """The file without what follows its last segment, and without a table of sections."""
    short = bytearray(data[: loaded_size(data)])
    struct.pack_into("<Q", short, SECTION_HEADERS, 0)
    # Entry size stays; number of sections and index of their names become none.
    struct.pack_into("<HH", short, SIZES + 6, 0, 0)
    return bytes(short)


def main(folder: str) -> None:
    """Strip every shared object under `folder`."""
    for path in Path(folder).rglob("*.so*"):
        data = path.read_bytes()
        if data.startswith(ELF64_LITTLE_ENDIAN):
            path.write_bytes(stripped(data))


if __name__ == "__main__":
    main(sys.argv[1])
