"""Byte streams of a patch: whole numbers in as few bytes as they need (LEB128), read within bounds."""

from __future__ import annotations

__all__ = ["Reader", "put"]

_LONGEST = 10  # bytes of a 64-bit number


def put(number: int) -> bytes:
    """A number >= 0: seven bits a byte, lowest first, the high bit set on all but the last."""
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


class Reader:
    """Reads a stream from its start; ValueError instead of a byte beyond its end."""

    def __init__(self, content: bytes) -> None:
        self._content, self._position = content, 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        end = self._position + size
        if end > len(self._content):
            raise ValueError("it ends too early")
        piece = self._content[self._position : end]
        self._position = end
        return piece

    def number(self, largest: int) -> int:
        """The next number, at most `largest`."""
        value = 0
        for index in range(_LONGEST):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                break
        else:
            raise ValueError("a number is too long")
        if value > largest:
            raise ValueError(f"a number is {value}, at most {largest} makes sense there")
        return value

    def finish(self) -> None:
        """Nothing may be left."""
        if self._position != len(self._content):
            raise ValueError("it goes on behind its end")
