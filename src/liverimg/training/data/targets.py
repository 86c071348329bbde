"""From a data set's label values to what a network is taught: a channel, or a choice of channels.

Where a data set has no label of a structure, its voxels lie hidden in other labels: gallbladder in the background,
veins in the liver. Teaching the network that these voxels are background would punish it for being right. So each
label value stands for every class that may hide in it, and the loss asks for their sum alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from liverimg.core.labels import LIVER_CONTENTS, Structure
from liverimg.training.data.names import Meaning, NameTable
from liverimg.training.synthesis.examples import IGNORED

_FIRST_CODE = 200  # above any channel number, below EITHER and IGNORED
_BACKGROUND = 0
# What lies in the liver counts as liver for a network that does not tell it apart.
_LIVER_PARTS = {*LIVER_CONTENTS, Structure.HEPATIC_VEIN, Structure.PORTAL_VEIN, Structure.BILE_DUCT}


@dataclass(frozen=True, eq=False)
class Targets:
    """How label values of one data set are taught to one network.

    Attributes:
        codes: Training label of each value of the data set, shape (256,): a channel, a code of ``choices``, or
            ``IGNORED``.
        choices: Channels that a code may stand for, the main one first.
        hidden: Those of them that are not meant by the label, and may only hide in it.
        taught: Structures that the data set labels wholly and by themselves: all that it can teach, or score.
    """

    codes: NDArray[np.uint8] = field(repr=False)
    choices: Mapping[int, tuple[int, ...]]
    hidden: Mapping[int, tuple[int, ...]]
    taught: frozenset[Structure]


def taught_structures(labels: Mapping[int, Meaning], complete: frozenset[Structure]) -> frozenset[Structure]:
    """Structures that have a label of their own which covers all of them.

    Args:
        labels: Meaning of each label value.
        complete: Structures whose parts are all there.
    """
    alone = {m.structures[0] for m in labels.values() if len(m.structures) == 1}
    partly = {m.structures[0] for m in labels.values() if len(m.structures) == 1 and m.part}
    unsure = {s for m in labels.values() if len(m.structures) > 1 for s in m.structures}
    return frozenset(s for s in alone if s not in unsure and (s not in partly or s in complete))


def hidden_in(
    labels: Mapping[int, Meaning], complete: frozenset[Structure], names: NameTable
) -> dict[int, set[Structure]]:
    """For each label value, the structures without a full label of their own that may hide in its voxels."""
    named = {s for m in labels.values() for s in m.structures}
    partly = {m.structures[0] for m in labels.values() if m.part} - complete
    unlabelled = (set(Structure) - named) | partly
    hidden: dict[int, set[Structure]] = {}
    for value, meaning in labels.items():
        if meaning.ignored:
            hidden[value] = set()
        elif not meaning.structures:
            hidden[value] = set(unlabelled)
        else:
            own = set(meaning.structures)
            hidden[value] = {s for s in unlabelled - own if own.intersection(names.hides_in.get(s, ()))}
    return hidden


def targets_for(
    labels: Mapping[int, Meaning],
    complete: frozenset[Structure],
    channels: Mapping[int, Structure],
    names: NameTable,
) -> Targets:
    """Works out what each label value teaches a network with these channels.

    Args:
        labels: Meaning of each label value of the data set, 0 included.
        complete: Structures whose parts are all there.
        channels: Structure of each network channel but the background.
        names: Where unlabelled structures hide.
    """
    channel_of = {structure: channel for channel, structure in channels.items()}
    hidden = hidden_in(labels, complete, names)
    codes = np.full(256, IGNORED, dtype=np.uint8)
    choices: dict[int, tuple[int, ...]] = {}
    hiding: dict[int, tuple[int, ...]] = {}
    for value, meaning in sorted(labels.items()):
        if meaning.ignored:
            continue
        own = [_channel(s, channel_of) for s in meaning.structures] or [_BACKGROUND]
        if own == [_BACKGROUND] and meaning.structures:
            # A structure that this network does not know: nothing of ours hides in it.
            codes[value] = _BACKGROUND
            continue
        others = sorted({channel_of[s] for s in hidden[value] if s in channel_of} - set(own))
        allowed = (*dict.fromkeys(own), *others)
        if len(allowed) == 1:
            codes[value] = allowed[0]
            continue
        both = (allowed, tuple(others))
        known = {(choices[c], hiding[c]): c for c in choices}
        code = known.get(both, _FIRST_CODE + len(choices))
        choices[code], hiding[code] = both
        codes[value] = code
    return Targets(codes, choices, hiding, taught_structures(labels, complete))


def _channel(structure: Structure, channel_of: Mapping[Structure, int]) -> int:
    if structure in channel_of:
        return channel_of[structure]
    if structure in _LIVER_PARTS:
        return channel_of.get(Structure.LIVER, _BACKGROUND)
    return _BACKGROUND
