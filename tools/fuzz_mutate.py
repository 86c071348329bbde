"""Ways to spoil a DICOM file: blind ones, and ones that know elements, lengths, value representations and numbers."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT"))
VRS = tuple(sorted(LONG | {b"AE", b"CS", b"DA", b"DS", b"FD", b"IS", b"LO", b"PN", b"SH", b"TM", b"UI", b"US", b"XX"}))
LENGTHS = (0, 1, 2, 3, 255, 0x7FFF, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
NUMBERS = (b"0", b"-1", b"1e308", b"-1e308", b"1e-300", b"nan", b"inf", b"", b" ", b"2147483648", b"0,5", b"1\\2\\3",
           b"99999999999999999999", b"0.0000001", b"1.5", b"x" * 70, b"\\\\\\", b"-0")  # fmt: skip
STRINGS = (
    b"<script>alert(1)</script>", b"=cmd|' /C calc'!A0", b"../../../../etc/passwd", b"a\nb\r\nc\x1b[31m", b"\0" * 9,
    b"\xff\xfe\xfd", b"%s%n%d", b"'\"--;DROP", b"A" * 300, b"\x1b$B\x1b(B", b"ISO 2022 IR 87\\ISO 2022 IR 149", b"NaN",
    b"1.2.3/../../x", b"CON", b"20269999", b"999999.999999", b"+0000", b"MR", b"CT", b"US", b"DERIVED\\SECONDARY",
)  # fmt: skip
SYNTAXES = tuple(
    f"1.2.840.10008.1.2{tail}".encode()
    for tail in ("", ".1", ".2", ".5", ".1.99", ".4.50", ".4.51", ".4.57", ".4.70", ".4.80", ".4.81", ".4.90", ".4.91",
                 ".4.92", ".4.100", ".4.201", ".7", ".99999")
)  # fmt: skip
# Samples, photometric, frames, rows, columns, spacing, bits, sign, padding, position, orientation, rescale.
TELLING = tuple(
    struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    for tag in (0x00280002, 0x00280004, 0x00280008, 0x00280010, 0x00280011, 0x00280030, 0x00280100, 0x00280101,
                0x00280102, 0x00280103, 0x00280120, 0x00200032, 0x00200037, 0x00281052, 0x00281053, 0x00080005,
                0x00080060, 0x00080008, 0x0020000E, 0x00020010, 0x7FE00010, 0x2005100E, 0x00181063, 0x00189074)
)  # fmt: skip


@dataclass(frozen=True)
class Element:
    """Where an explicit little endian element lies: its tag, its value, its length field."""

    at: int
    value_at: int
    length: int
    vr: bytes


def elements(data: bytes) -> Iterator[Element]:
    """Elements of an explicit little endian file, down into sequences of undefined length; stops where lost."""
    at = 132
    while at + 8 <= len(data):
        vr = data[at + 4 : at + 6]
        if data[at : at + 2] == b"\xfe\xff":
            at += 8
            continue
        if not (vr.isalpha() and vr.isupper()):
            return
        if vr in LONG:
            (length,) = struct.unpack("<I", data[at + 8 : at + 12]) if at + 12 <= len(data) else (0,)
            value_at = at + 12
        else:
            (length,) = struct.unpack("<H", data[at + 6 : at + 8])
            value_at = at + 8
        yield Element(at, value_at, length, vr)
        at = value_at + (0 if vr == b"SQ" or length == 0xFFFFFFFF else length)


class Mutator:
    """One case's mutations, all drawn from one generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def spoil(self, data: bytes, other: bytes) -> bytes:
        """One to three mutations of a file; ``other`` lends parts."""
        for _ in range(int(self._rng.integers(1, 4))):
            way = self._pick(
                (self._bits, self._bytes, self._length, self._vr, self._cut, self._insert, self._delete, self._repeat,
                 self._number, self._string, self._swap, self._pixels, self._syntax, self._nest, self._binary)
            )  # fmt: skip
            data = way(data) or data
        if self._rng.random() < 0.05:
            data = data[: self._at(data)] + other[self._at(other) :]
        return data

    def _pick(self, options):
        return options[int(self._rng.integers(len(options)))]

    def _at(self, data: bytes) -> int:
        """A place in the file, in its header more often than not."""
        return int(self._rng.integers(max(1, min(len(data), 1600) if self._rng.random() < 0.7 else len(data))))

    def _element(self, data: bytes) -> Element | None:
        """An element; one that tells size, packing or place more often than another."""
        found = list(elements(data))
        telling = [e for e in found if data[e.at : e.at + 4] in TELLING]
        found = telling if telling and self._rng.random() < 0.6 else found
        return self._pick(found) if found else None

    def _bits(self, data: bytes) -> bytes:
        spoilt = bytearray(data)
        for _ in range(int(self._rng.integers(1, 9))):
            if spoilt:
                spoilt[self._at(data)] ^= 1 << int(self._rng.integers(8))
        return bytes(spoilt)

    def _bytes(self, data: bytes) -> bytes:
        at, count = self._at(data), int(self._rng.integers(1, 20))
        fill = self._pick((b"\0", b"\xff", b"\x7f", b"\x80", self._rng.bytes(1)))
        return data[:at] + fill * count + data[at + count :]

    def _length(self, data: bytes) -> bytes | None:
        element = self._element(data)
        if element is None:
            return None
        near = (element.length + int(self._rng.integers(-3, 4))) % (1 << 32)
        length = self._pick((*LENGTHS, near, near, near))
        if element.vr in LONG:
            return data[: element.at + 8] + struct.pack("<I", length) + data[element.at + 12 :]
        return data[: element.at + 6] + struct.pack("<H", length & 0xFFFF) + data[element.at + 8 :]

    def _vr(self, data: bytes) -> bytes | None:
        element = self._element(data)
        return None if element is None else data[: element.at + 4] + self._pick(VRS) + data[element.at + 6 :]

    def _cut(self, data: bytes) -> bytes:
        return data[: self._at(data)] if self._rng.random() < 0.5 else data[: -int(self._rng.integers(1, 200))]

    def _insert(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + self._rng.bytes(int(self._rng.integers(1, 64))) + data[at:]

    def _delete(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + data[at + int(self._rng.integers(1, 64)) :]

    def _repeat(self, data: bytes) -> bytes:
        at, count = self._at(data), int(self._rng.integers(1, 400))
        return data[:at] + data[at : at + count] * int(self._rng.integers(2, 30)) + data[at + count :]

    def _replace(self, data: bytes, element: Element, value: bytes) -> bytes:
        value += b" " * (len(value) % 2)
        end = element.value_at + (0 if element.length == 0xFFFFFFFF else element.length)
        if element.vr in LONG:
            head = data[: element.at + 8] + struct.pack("<I", len(value))
        else:
            head = data[: element.at + 6] + struct.pack("<H", len(value) & 0xFFFF)
        return head + value + data[end:]

    def _number(self, data: bytes) -> bytes | None:
        element = self._element(data)
        return None if element is None else self._replace(data, element, self._pick(NUMBERS))

    def _string(self, data: bytes) -> bytes | None:
        element = self._element(data)
        return None if element is None else self._replace(data, element, self._pick(STRINGS))

    def _binary(self, data: bytes) -> bytes | None:
        element = self._element(data)
        if element is None:
            return None
        number = self._pick((0, 1, 2, 7, 8, 12, 16, 31, 32, 64, 128, 8192, 8193, 32768, 65535))
        return self._replace(data, element, struct.pack("<H", number))

    def _swap(self, data: bytes) -> bytes | None:
        first, second = self._element(data), self._element(data)
        if first is None or second is None:
            return None
        value = data[second.value_at : second.value_at + min(second.length, 64)]
        return self._replace(data, first, value)

    def _pixels(self, data: bytes) -> bytes:
        at = data.rfind(b"\xe0\x7f\x10\x00")
        if at < 0:
            return self._bits(data)
        spoilt = bytearray(data)
        # The head of a compressed frame more often than its body.
        span = 200 if self._rng.random() < 0.5 else len(data) - at
        for _ in range(int(self._rng.integers(1, 12))):
            spoilt[min(len(data) - 1, at + 12 + int(self._rng.integers(span)))] = int(self._rng.integers(256))
        return bytes(spoilt)

    def _syntax(self, data: bytes) -> bytes | None:
        for element in elements(data):
            if data[element.at : element.at + 4] == b"\x02\x00\x10\x00":
                value = self._pick(SYNTAXES)
                return self._replace(data, element, value + b"\0" * (len(value) % 2))
        return None

    def _nest(self, data: bytes) -> bytes | None:
        """Sequences in sequences, far deeper than any real object."""
        element = self._element(data)
        if element is None:
            return None
        depth = self._pick((2, 40, 400, 3000))
        sequence = b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * depth
        return data[: element.at] + sequence + data[element.at :]
