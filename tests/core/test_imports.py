"""Libraries that an import goes without for a while."""

import sys
from importlib import import_module

import pytest

from liverimg.core.imports import going_without


def test_what_is_gone_without_can_be_imported_afterwards() -> None:
    with going_without("colorsys_of_nobody", "antigravity", "json"):
        with pytest.raises(ImportError):
            import_module("antigravity")
        assert import_module("json").loads("1") == 1
    assert not {"colorsys_of_nobody", "antigravity"} & set(sys.modules)


def test_nothing_stays_away_when_the_block_fails() -> None:
    with pytest.raises(ZeroDivisionError), going_without("antigravity"):
        raise ZeroDivisionError
    assert "antigravity" not in sys.modules
