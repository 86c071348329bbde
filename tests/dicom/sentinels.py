"""Values that stand for identity: one in every place, each of which can be found again in any output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataset import Dataset

REAL_LOOKING_ROOT = "1.2.840.99999.4711"


class Sentinels:
    """A different value for every place, each of which can be found again in bytes."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def value(self, vr: str) -> Any:
        """A value of that kind that names nobody but itself."""
        number = len(self.texts)
        text = {
            "DA": f"{1931 + number // 336}{number // 28 % 12 + 1:02d}{number % 28 + 1:02d}",
            "TM": f"{number // 3600 % 24:02d}{number // 60 % 60:02d}{number % 60:02d}.{471100 + number}",
            "DT": f"1921{number // 28 % 12 + 1:02d}{number % 28 + 1:02d}111213.{471100 + number}",
            "UI": f"{REAL_LOOKING_ROOT}.{number}.1",
            "AS": f"{number % 999:03d}W",
            "DS": f"4711.{100000 + number}",
            "IS": f"4711{10000 + number}",
            "CS": f"SENTI{number:05d}X",
            "AE": f"SENTI{number:05d}X",
            "UR": f"http://sentinel.example/{number:05d}X",
            "PN": f"Sentinel{number:05d}X^Jane",
        }.get(vr, f"Sentinel{number:05d}X")
        if vr in ("US", "SS", "UL", "SL", "FL", "FD"):
            self.texts.append(f"Sentinel{number:05d}X")
            return 4711
        # AS and short dates are too short to look for among bytes; they are looked at one by one.
        self.texts.append(text)
        return text.encode() if vr in ("OB", "OW", "UN", "OF", "OD", "OL", "OV") else text


def filled(tags: frozenset[int], sentinels: Sentinels) -> Dataset:
    """A data set in which every attribute of the table holds a sentinel; sequences hold items that hold some."""
    made = Dataset()
    for tag in sorted(tags):
        if tag >> 16 in (0x0000, 0x0002):
            continue  # of messages and of the file's head: never in a data set
        known = dictionary_has_tag(tag)
        vr = dictionary_VR(tag).split(" or ")[0] if known else "LO"
        if vr == "SQ":
            item = Dataset()
            item.PatientName, item.TextValue = sentinels.value("PN"), sentinels.value("UT")
            item.SOPInstanceUID, item.CodeMeaning = sentinels.value("UI"), sentinels.value("LO")
            item.add_new(0x00091001, "LO", sentinels.value("LO"))
            made.add_new(tag, "SQ", [item])
        else:
            made.add_new(tag, vr, sentinels.value(vr))
    return made


def survivors(folder: Path, texts: list[str], said: str = "") -> list[str]:
    """Sentinels that occur in any byte or name below ``folder``, or in what was printed."""
    everything = said.encode("utf-8", "replace")
    for path in sorted(folder.rglob("*")):
        everything += str(path.relative_to(folder)).encode()
        if path.is_file():
            everything += path.read_bytes()
    everything = everything.lower()
    return [text for text in texts if len(text) > 8 and text.lower().encode() in everything]
