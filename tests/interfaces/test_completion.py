"""The tab key: commands, options and names, through the door that a shell uses."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = "import sys; sys.argv[0] = 'liverimg'; from liverimg.cli import main; main()"


def offered(words: str) -> list[str]:
    """What bash would offer for the last word."""
    asked = {
        "_LIVERIMG_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | asked)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("liverimg tim", {"timeline"}),
        ("liverimg pre --rec", {"--recipe"}),
        ("liverimg pre --recipe p", {"pre_ablation", "post_ablation"}),
        ("liverimg post --model l", {"liver_ct", "liver_mr"}),
        ("liverimg pre --use ref", {"reference="}),
        ("liverimg criteria hifu", {"hifu_suitability"}),
    ],
)
def test_names_are_offered(words: str, names: set[str]) -> None:
    assert names <= set(offered(words))


def test_every_list_of_names_has_something_in_it() -> None:
    from liverimg.cli import complete as offer

    for names in (
        offer.recipes,
        offer.models,
        offer.transducers,
        offer.criteria,
        offer.stages,
        offer.roles,
        offer.devices,
    ):
        assert names("")
        assert names("no such name at all") == []
    assert "2026-01-31=hifu" in offer.treatments("2026-01-31=h")
    assert offer.treatments("2026-01") == []
