"""Descriptions in multi-byte character sets: read as they were written, phases found, names found and left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from liverimg.dicom.identity import identity_pattern

_TO_JAPANESE, _TO_ASCII = b"\x1b$B", b"\x1b(B"
_TO_KOREAN = b"\x1b$)C"
_TO_CHINESE = b"\x1b$)A"


def jis(text: str) -> bytes:
    """Japanese by ISO 2022 escape sequences (PS3.5 annex H)."""
    return text.encode("iso2022_jp")


def korean(text: str) -> bytes:
    """Korean in G1, designated at the start of the value (PS3.5 annex I)."""
    return _TO_KOREAN + text.encode("euc_kr")


def chinese(text: str) -> bytes:
    """Simplified Chinese in G1, designated at the start of the value (PS3.5 annex K)."""
    return _TO_CHINESE + text.encode("gb2312")


# Character set, how text becomes bytes, description, phase, a name, and whether an encoder made the escapes.
CASES = {
    "Japanese, escapes": (r"\ISO 2022 IR 87", jis, "腹部 動脈相 5mm", "arterial", "山田^太郎"),
    "Japanese, Latin first": (r"ISO 2022 IR 6\ISO 2022 IR 87", jis, "LIVER 門脈相", "portal_venous", "鈴木^一郎"),
    "Japanese, half width": (r"ISO 2022 IR 13\ISO 2022 IR 87", jis, "造影前 3mm", "unenhanced", "山田^太郎"),
    "Japanese, supplement": (r"\ISO 2022 IR 87\ISO 2022 IR 159", jis, "肝 後期相", "delayed", "佐藤^花子"),
    "Korean": (r"\ISO 2022 IR 149", korean, "복부 동맥기 5mm", "arterial", "김희중^영희"),
    "Korean, Latin first": (r"ISO 2022 IR 6\ISO 2022 IR 149", korean, "ABD 문맥기", "portal_venous", "김희중^영희"),
    "Chinese, escapes": (r"\ISO 2022 IR 58", chinese, "肝脏 动脉期 1mm", "arterial", "张伟^小明"),
    "Chinese, GB18030": ("GB18030", lambda text: text.encode("gb18030"), "上腹部 门脉期", "portal_venous", "张伟^小明"),
    "Chinese, GBK": ("GBK", lambda text: text.encode("gbk"), "上腹部 延迟期", "delayed", "张伟^小明"),
    "UTF-8, Chinese": ("ISO_IR 192", str.encode, "肝脏平扫", "unenhanced", "张伟^小明"),
    "UTF-8, Japanese": ("ISO_IR 192", str.encode, "肝細胞相", "hepatobiliary", "山田^太郎"),
    "UTF-8, Korean": ("ISO_IR 192", str.encode, "간담도기", "hepatobiliary", "김희중^영희"),
}  # fmt: skip


def put(path: Path, marker: bytes, value: bytes) -> None:
    """Replaces a value of the same length in a file."""
    data = path.read_bytes()
    assert data.count(marker) == 1
    path.write_bytes(data.replace(marker, value))


@pytest.mark.parametrize("name", CASES)
def test_descriptions_are_read_and_phases_found(
    name: str, tmp_path: Path, build: ModuleType, liverimg: Callable[..., Any]
) -> None:
    character_set, encoded, text, phase, person = CASES[name]
    family, _ = person.split("^")
    description = encoded(f"{text} {family}")
    # A Japanese or Korean name has its ideographs in the second component group.
    patient = b"Doe^Jane=" + encoded(person)
    description += b" " * (len(description) % 2)
    patient += b" " * (len(patient) % 2)

    def edit(dataset: Any, k: int) -> None:
        dataset.SpecificCharacterSet = character_set.split("\\")
        dataset.PatientName = "X" * len(patient)

    modality = "MR" if phase == "hepatobiliary" else "CT"
    for path in build.write_series(
        tmp_path / "study", modality=modality, edit=edit, description="Y" * len(description)
    ):
        put(path, b"Y" * len(description), description)
        put(path, b"X" * len(patient), patient)
    said = liverimg("inspect", tmp_path / "study", "--json")
    assert said.code == 0, said.err
    (volume,) = json.loads(said.out)["volumes"]
    assert volume["description"] == f"{text} [removed]"
    assert volume["phase"] == phase
    table = liverimg("inspect", tmp_path / "study", "--evidence")
    assert family not in said.out + table.out + table.err


def test_every_value_of_a_case_really_needs_its_character_set() -> None:
    """Else a reader that ignores the tag would pass."""
    for _, encoded, text, _, _ in CASES.values():
        assert encoded(text).decode("latin-1") != text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "肝臓山田様動脈相"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "ﾔﾏﾀﾞ yamada CT"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "腹部やまだ"),
        ("Li^Ming=李^明", "李明 腹部"),
        ("김희중", "복부김희중동맥기"),
        ("Größe^Jürgen", "Abdomen GRÖSSE jürgen"),
        ("Иванов^Иван", "печень Иванов"),
    ],
)
def test_names_are_found_in_any_script(value: str, text: str) -> None:
    assert identity_pattern([value]).search(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [("Li^Ming=李^明", "明 透明 liver"), ("Li^Bo", "liver bolus"), ("Doe^Jane", "does it"), ("", "anything")],
)
def test_words_that_only_look_like_a_name_stay(value: str, text: str) -> None:
    assert identity_pattern([value]).search(text) is None
