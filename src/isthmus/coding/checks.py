"""Checksums and numbers of few bytes."""

from __future__ import annotations

import binascii
import zlib

from isthmus.core.errors import CompressedError

LONGEST_NUMBER = 5
"""Bytes of the largest number there is."""


def crc8(data: bytes) -> int:
    """The CRC of 8 bits with the polynomial x^8 + x^2 + x + 1: any burst of up to 8 bits shows."""
    found = 0xFF
    for byte in data:
        found ^= byte
        for _ in range(8):
            found = (found << 1) ^ (0x107 if found & 0x80 else 0)
    return found


def short_check(data: bytes) -> bytes:
    """Two bytes: CRC-16-CCITT."""
    return binascii.crc_hqx(data, 0xFFFF).to_bytes(2, "big")


def long_check(data: bytes | memoryview) -> bytes:
    """Four bytes: CRC-32."""
    return zlib.crc32(data).to_bytes(4, "big")


def number(value: int) -> bytes:
    """A whole number from 0 on, seven bits a byte, the lowest first."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


class Reader:
    """Takes parts off the front of bytes.

    Raises
    ------
    CompressedError
        By every method, if what is asked for is not there.
    """

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    @property
    def left(self) -> int:
        """Bytes that were not taken yet."""
        return len(self.data) - self.at

    def take(self, n: int) -> bytes:
        """The next n bytes."""
        if n > self.left:
            raise CompressedError(
                f"it is cut short: {n:,} bytes should follow, {self.left:,} are there"
            )
        self.at += n
        return self.data[self.at - n : self.at]

    def byte(self) -> int:
        """The next byte, as a number."""
        return self.take(1)[0]

    def number(self) -> int:
        """What ``number`` wrote."""
        found = 0
        for i in range(LONGEST_NUMBER):
            byte = self.byte()
            found |= (byte & 0x7F) << 7 * i
            if byte < 0x80:
                if i and not byte:
                    break
                return found
        raise CompressedError("it holds a number that nobody writes")

    def so_far(self) -> bytes:
        """All that was taken."""
        return self.data[: self.at]
