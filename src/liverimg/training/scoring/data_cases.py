"""Cases of a data set as something to score on: what its labels say, and what they leave open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from liverimg.core.errors import InputRefusedError
from liverimg.core.labels import BoolArray, LabelMap, Structure
from liverimg.training.data.layouts import DataSet, LoadedCase, Source, load_case
from liverimg.training.data.names import NameTable
from liverimg.training.data.prepared import check_hounsfield
from liverimg.training.data.targets import hidden_in, taught_structures
from liverimg.training.scoring.cases import Case
from liverimg.training.scoring.score import Groups


@dataclass(frozen=True, eq=False)
class DataTruth:
    """What the labels of a data set can tell of a model.

    Attributes:
        structure_of: The structure that each label value is kept under; values that are not here say nothing.
        groups: What is scored: structures, or unions of them, by name.
        not_told: Structures that the labels do not tell apart, with the reason.
    """

    structure_of: Mapping[int, Structure]
    groups: Groups
    not_told: Mapping[Structure, str]


def truth_of(dataset: DataSet, names: NameTable, drawn: Sequence[Structure]) -> DataTruth:
    """Works out what can be scored.

    A structure is scored by itself when its labels cover all of it and hide nothing else that the model draws. The
    liver with all that lies in it is scored in any case where the liver is labelled.

    Args:
        dataset: The labels' meaning.
        names: Where unlabelled structures hide.
        drawn: What the model draws.

    Raises:
        InputRefusedError: Nothing that the model draws is labelled.
    """
    whole = taught_structures(dataset.labels, dataset.complete)
    hidden = hidden_in(dataset.labels, dataset.complete, names)
    structure_of: dict[int, Structure] = {}
    groups: dict[str, tuple[Structure, ...]] = {}
    not_told: dict[Structure, str] = {}
    for value, meaning in dataset.labels.items():
        if len(meaning.structures) > 1:
            structure_of[value] = meaning.structures[0]
            groups["_or_".join(s.value for s in meaning.structures)] = meaning.structures
            said = " or ".join(s.value.replace("_", " ") for s in meaning.structures)
            not_told |= dict.fromkeys(meaning.structures, f"the labels only say {said}")
        elif meaning.structures and meaning.structures[0] in whole:
            structure_of[value] = meaning.structures[0]
            if not hidden[value].intersection(drawn):
                groups[meaning.structures[0].value] = meaning.structures
    groups = {name: members for name, members in groups.items() if set(members).intersection(drawn)}
    if not groups and Structure.LIVER not in structure_of.values():
        raise InputRefusedError(
            f"the data set {dataset.name} has no whole label of anything that the model draws "
            f"({', '.join(sorted(drawn))}); nothing can be scored on it"
        )
    return DataTruth(structure_of, dict(sorted(groups.items())), not_told)


def data_cases(
    dataset: DataSet, sources: Sequence[Source], truth: DataTruth, *, liver_median_hu: tuple[float, float]
) -> Iterator[tuple[Case, BoolArray | None]]:
    """Each case, and the voxels of which its labels say nothing (None where they say something of all).

    Args:
        dataset: What the files mean.
        sources: Which cases.
        truth: From :func:`truth_of`.
        liver_median_hu: Range that the median of a CT's liver has to lie in.
    """
    for source in sources:
        loaded = load_case(dataset, source)
        check_hounsfield(dataset, loaded, liver_median_hu)
        yield _case(loaded, truth), _unknown(dataset, loaded)


def _case(loaded: LoadedCase, truth: DataTruth) -> Case:
    structures = sorted(set(truth.structure_of.values()))
    values = {structure: number for number, structure in enumerate(structures, start=1)}
    table = np.zeros(256, dtype=np.uint8)
    for value, structure in truth.structure_of.items():
        table[value] = values[structure]
    labels = LabelMap(table[loaded.values], loaded.reference.grid, values)
    return Case(loaded.name, loaded.reference, labels, float("nan"), others=loaded.others)


def _unknown(dataset: DataSet, loaded: LoadedCase) -> BoolArray | None:
    ignored = [value for value, meaning in dataset.labels.items() if meaning.ignored]
    if not ignored:
        return None
    return np.asarray(np.isin(loaded.values, ignored))
