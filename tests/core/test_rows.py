"""Tables of numbers as frozen values."""

from dataclasses import dataclass

import pytest

from liverimg.core.errors import RecordInvalidError
from liverimg.core.rows import filled


@dataclass(frozen=True)
class _Inner:
    share: float


@dataclass(frozen=True)
class _Outer:
    length_mm: float
    count: int
    word: str
    limits_mm: tuple[float, ...]
    inner: _Inner
    name: str = "given"


def row(value):
    return {"value": value, "unit": "1", "source": "own choice"}


TABLE = {
    "length_mm": row(3),
    "count": row(4.0),
    "word": row("a"),
    "limits_mm": row([0, 5]),
    "inner": {"share": row(0.5)},
    "note": row(9),
}


def test_every_kind_of_field_is_read_and_further_rows_do_no_harm():
    assert filled(_Outer, TABLE, "made", name="n") == _Outer(3.0, 4, "a", (0.0, 5.0), _Inner(0.5), "n")


@pytest.mark.parametrize(
    ("name", "wrong", "expected"),
    [
        ("length_mm", row("3"), "no number for length_mm"),
        ("length_mm", row(True), "no number for length_mm"),
        ("length_mm", 3, "no number for length_mm"),
        ("count", row(4.5), "no whole number for count"),
        ("word", row(1), "no word for word"),
        ("limits_mm", row(5.0), "no numbers for limits_mm"),
        ("limits_mm", row([1, "a"]), "no numbers for limits_mm"),
        ("inner", {"share": {}}, "made inner has no number for share"),
        ("inner", 3, "made inner has no number for share"),
    ],
)
def test_what_is_missing_or_of_another_kind_is_named(name, wrong, expected):
    with pytest.raises(RecordInvalidError, match=expected):
        filled(_Outer, {**TABLE, name: wrong}, "made", name="n")
    with pytest.raises(RecordInvalidError, match="no"):
        filled(_Outer, {k: v for k, v in TABLE.items() if k != name}, "made", name="n")
