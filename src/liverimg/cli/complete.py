"""What the shell offers when somebody presses the tab key: names that are cheap to look up, nothing of a study."""

from __future__ import annotations

from collections.abc import Iterable


def recipes(incomplete: str) -> list[str]:
    """Recipes that are built in."""
    from liverimg.files.bundled import bundled_folder
    from liverimg.files.tables import read_toml

    return _begun(incomplete, (p.stem for p in bundled_folder("pipelines").glob("*.toml") if "stages" in read_toml(p)))


def models(incomplete: str) -> list[str]:
    """Models that come with the program, and programs that may stand in for one."""
    from liverimg.files.bundled import bundled_folder

    # A model of another kind, such as that of ablation zones, has another block in its metadata.
    metadata = ((p.name, p / "configs" / "metadata.json") for p in bundled_folder("models").iterdir())
    there = (name for name, path in metadata if path.is_file() and '"liverimg":' in path.read_text(encoding="utf-8"))
    return _begun(incomplete, [*there, "totalsegmentator", "nnunet:"])


def transducers(incomplete: str) -> list[str]:
    """Transducers that are built in."""
    from liverimg.files.tables import read_table

    return _begun(incomplete, read_table("transducers"))


def criteria(incomplete: str) -> list[str]:
    """Tables of rules that are built in."""
    from liverimg.files.criteria import criteria_names

    return _begun(incomplete, criteria_names())


def stages(incomplete: str) -> list[str]:
    """Stages that may be run again."""
    from liverimg.pipeline.recipe import STAGE_NAMES

    return _begun(incomplete, STAGE_NAMES)


def roles(incomplete: str) -> list[str]:
    """``ROLE=``, to be followed by a number."""
    from liverimg.core.study import Role

    return _begun(incomplete, (f"{role.value}=" for role in Role))


def treatments(incomplete: str) -> list[str]:
    """Kinds of treatment, once the date stands there."""
    from liverimg.files.tables import read_table

    day, equals, kind = incomplete.partition("=")
    return [f"{day}={name}" for name in read_table("response")["treatment"] if name.startswith(kind)] if equals else []


def zone_methods(incomplete: str) -> list[str]:
    """Who may draw ablation zones."""
    return _begun(incomplete, ("rule", "model"))


def devices(incomplete: str) -> list[str]:
    """Where a model may run."""
    return _begun(incomplete, ("auto", "cpu", "cuda"))


def _begun(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))
