"""A cine refuses to be born wrong, and says what is unknown."""

from typing import Any

import numpy as np
import pytest

from liverimg.core.cine import Box, Cine, Clip, Clock, ClockZero, Pane, Picture

FRAMES = np.zeros((3, 4, 5), dtype=np.uint8)


@pytest.mark.parametrize(
    ("array", "times_s", "spacing_mm"),
    [
        (FRAMES[0], [0.0, 1.0, 2.0], None),
        (FRAMES[:, :0], [0.0, 1.0, 2.0], None),
        (FRAMES, [0.0, 1.0], None),
        (FRAMES, [0.0, 2.0, 1.0], None),
        (FRAMES, [0.0, 1.0, np.nan], None),
        (FRAMES, [0.0, 1.0, 2.0], (0.5, 0.0)),
        (FRAMES, [0.0, 1.0, 2.0], (-0.5, 0.5)),
        (FRAMES, [0.0, 1.0, 2.0], (np.inf, 0.5)),
    ],
)
def test_a_wrong_cine_is_not_born(array: Any, times_s: Any, spacing_mm: Any) -> None:
    with pytest.raises(ValueError):
        Cine(array, np.array(times_s), spacing_mm)


def test_a_cine_is_read_only_and_has_no_grid() -> None:
    cine = Cine(FRAMES, np.arange(3.0), (0.5, 0.4), Pane.CONTRAST)
    assert not hasattr(cine, "grid")
    for array in (cine.array, cine.times_s):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_times_count_from_the_clock_and_unknowns_are_named() -> None:
    picture = Picture(Pane.UNKNOWN, ("too dark",), Box(0, 4, 0, 5), None, "no regions")
    clip = Clip("1.2", ("1.2.3",), "", (), None, 4, (4, 5), (0.0, 0.5, 1.0, 1.5), "FrameTime", kept_frames=(0, 2, 3))
    cine = clip.cine_of(picture, FRAMES)
    assert set(cine.unknown) == {"spacing", "pane", "clock"}
    np.testing.assert_allclose(cine.times_s, [0, 1, 1.5])
    timed = Clip(
        "1.2", ("1.2.3",), "", (), None, 4, (4, 5), (0.0, 0.5, 1.0, 1.5), "FrameTime", kept_frames=(0, 2, 3),
        clock=Clock(ClockZero.USER, 0.75, 0.0, "by the user"),
    )  # fmt: skip
    np.testing.assert_allclose(timed.cine_of(picture, FRAMES).times_s, [-0.75, 0.25, 0.75])
    assert "clock" not in timed.cine_of(picture, FRAMES).unknown


def test_an_empty_box_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        Box(3, 3, 0, 5)
