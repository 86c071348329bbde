"""Kinds of image: told by ImageType, b-values, words and parameters; none but CT and T1 takes part in phases."""

from __future__ import annotations

import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from liverimg.core.errors import RecordInvalidError
from liverimg.core.study import Confidence, ImageKind, Phase
from liverimg.dicom.codes import Flag
from liverimg.dicom.frame import Frame, PhaseTags, PixelBlock, SequenceTags
from liverimg.dicom.phase import PhaseRules
from liverimg.dicom.sequence import decide_kind, echo_phase
from liverimg.dicom.sequence_rules import SequenceRules, shipped_sequence_rules
from liverimg.dicom.study import read_study

BLOCK = PixelBlock(Path("x"), "", 4, 4, 1, 16, 16, 15, False, 0, 32, 32)
DESCRIPTIONS = {
    ImageKind.T1_DYNAMIC: [
        "t1_vibe_fs_tra_bh art",
        "LAVA Ax +C",
        "eTHRIVE dyn",
        "T1 3D GRE fs portal venous",
        "Ax LAVA-Flex",
        "动态增强",
        "t1_fl3d_fs",
        "T1W fatsat",
        "DISCO",
        "starVIBE",
        "dynamic 1",
    ],
    ImageKind.T1: ["t1 tra", "Ax T1 FSPGR", "T1W"],
    ImageKind.T2: ["t2_haste_cor_bh", "T2 HASTE", "Ax SSFSE", "T2 BLADE fs", "STIR cor", "T2W TSE SPAIR", "t2_tse_fs"],
    ImageKind.DWI: ["ep2d_diff_b50_400_800", "DWI b800", "Ax DWI", "b1000", "弥散", "diffusion RT", "IVIM"],
    ImageKind.ADC: ["ADC", "ep2d_diff_ADC", "Apparent Diffusion Coefficient", "ADC Map", "eADC"],
    ImageKind.IN_PHASE: ["t1 in phase", "InPhase: Ax LAVA", "T1 IP", "t1_vibe_dixon_tra_in", "同相位"],
    ImageKind.OPPOSED_PHASE: [
        "t1 opp phase",
        "OutPhase: LAVA",
        "out of phase",
        "T1 OP",
        "t1_vibe_dixon_tra_opp",
        "opposed phase",
        "Gegenphase",
        "反相位",
    ],
    ImageKind.DIXON_WATER: ["WATER: Ax LAVA", "t1_vibe_dixon_tra_W", "mDIXON-W water"],
    ImageKind.DIXON_FAT: ["FAT: Ax LAVA", "t1_vibe_dixon_tra_F", "PDFF", "fat fraction", "mdixon fat"],
    ImageKind.MRCP: ["MRCP 3D", "Cholangio", "t2 3D MRCP"],
    ImageKind.SUBTRACTION: ["SUB art-pre", "vibe art_SUB", "Subtraction", "T1 dyn subtr"],
    ImageKind.OTHER: ["truFISP cor", "FIESTA", "BTFE", "Localizer", "MR Elastography", "T2* map", "survey"],
    ImageKind.UNKNOWN: ["ABD 3.0", "", "AX", "LIVER", "Recon 2"],
}


def frame(*, modality: str = "MR", description: str = "", image_type: tuple[str, ...] = (), **more: Any) -> Frame:
    sequence = SequenceTags(**{k: more.pop(k) for k in list(more) if k in SequenceTags.__dataclass_fields__})
    tags = PhaseTags(series_description=description)
    kind = ("ORIGINAL", "PRIMARY", *image_type)
    return Frame(BLOCK, 0, "1", "1", modality, image_type=kind, phase_tags=tags, sequence=sequence, **more)


@pytest.fixture(scope="module")
def kinds() -> SequenceRules:
    return shipped_sequence_rules()


@pytest.mark.parametrize(("kind", "text"), [(k, t) for k, texts in DESCRIPTIONS.items() for t in texts], ids=str)
def test_words(kind: ImageKind, text: str, kinds: SequenceRules) -> None:
    assert decide_kind(frame(description=text), kinds).kind is kind


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (ImageKind.SUBTRACTION, ("SUBTRACTION",)),
        (ImageKind.ADC, ("DIFFUSION", "ADC")),
        (ImageKind.DIXON_FAT, ("DIXON", "FAT")),
        (ImageKind.IN_PHASE, ("DIXON", "IN_PHASE")),
        (ImageKind.OPPOSED_PHASE, ("M_FFE", "OP")),
        (ImageKind.DIXON_WATER, ("DIXON", "WATER")),
        (ImageKind.DWI, ("DIFFUSION", "TRACEW")),
        (ImageKind.OTHER, ("T2_STAR",)),
        (ImageKind.UNKNOWN, ("OTHER",)),
        (ImageKind.UNKNOWN, ("M", "ND", "NORM")),
    ],
)
def test_image_type(kind: ImageKind, values: tuple[str, ...], kinds: SequenceRules) -> None:
    assert decide_kind(frame(image_type=values), kinds).kind is kind


@pytest.mark.parametrize(
    ("kind", "tags"),
    [
        (ImageKind.DWI, {"b_value": 800.0}),
        (ImageKind.T2, {"contrast": "T2"}),
        (ImageKind.DWI, {"contrast": "DIFFUSION"}),
        (ImageKind.T2, {"scanning": ("SE",), "echo_ms": 90.0, "repetition_ms": 1200.0}),
        (ImageKind.MRCP, {"scanning": ("SE",), "echo_ms": 700.0, "repetition_ms": 4000.0}),
        (ImageKind.T1_DYNAMIC, {"scanning": ("GR",), "echo_ms": 1.4, "repetition_ms": 4.0, "options": ("FS", "PFP")}),
        (ImageKind.T1, {"scanning": ("GR",), "echo_ms": 4.6, "repetition_ms": 120.0}),
        (ImageKind.DWI, {"scanning": ("EP", "SE"), "echo_ms": 60.0}),
        (ImageKind.T2, {"name": "*h2d1_203"}),
        (ImageKind.T1_DYNAMIC, {"name": "*fl3d1"}),
        (ImageKind.UNKNOWN, {"scanning": ("SE",), "echo_ms": 12.0}),
    ],
)
def test_tags(kind: ImageKind, tags: dict[str, Any], kinds: SequenceRules) -> None:
    assert decide_kind(frame(**tags), kinds).kind is kind


@pytest.mark.parametrize(
    ("field_t", "echo_ms", "kind"),
    [
        (1.5, 2.3, ImageKind.OPPOSED_PHASE),
        (1.5, 4.6, ImageKind.IN_PHASE),
        (3.0, 1.15, ImageKind.OPPOSED_PHASE),
        (3.0, 2.3, ImageKind.IN_PHASE),
        (3.0, 3.45, ImageKind.OPPOSED_PHASE),
        (1.5, 3.45, None),
        (None, 2.3, None),
    ],
)
def test_echo_times_at_the_field(
    field_t: float | None, echo_ms: float, kind: ImageKind | None, kinds: SequenceRules
) -> None:
    assert echo_phase(frame(field_t=field_t, echo_ms=echo_ms), kinds) is kind


def test_two_echoes_make_in_and_opposed_phase_one_does_not(kinds: SequenceRules) -> None:
    """A breath-held T1 of 2.3 ms at 1.5 T is no opposed-phase image just for its echo time."""
    one = frame(scanning=("GR",), field_t=1.5, echo_ms=2.3, repetition_ms=110.0)
    assert decide_kind(one, kinds).kind is ImageKind.T1
    assert decide_kind(one, kinds, sibling_echoes_ms=(4.6,)).kind is ImageKind.OPPOSED_PHASE
    fat_free = frame(scanning=("GR",), field_t=1.5, echo_ms=2.3, repetition_ms=4.0, options=("FS",))
    assert decide_kind(fat_free, kinds, sibling_echoes_ms=(4.6,)).kind is ImageKind.T1_DYNAMIC


def test_confidence_and_conflict(kinds: SequenceRules) -> None:
    parameters = {"scanning": ("GR",), "echo_ms": 1.4, "repetition_ms": 4.0, "options": ("FS",)}
    agreed = decide_kind(frame(description="t1 vibe", **parameters), kinds)
    alone = decide_kind(frame(**parameters), kinds)
    words = decide_kind(frame(description="t1 vibe"), kinds)
    lying = decide_kind(frame(description="T2 HASTE", **parameters), kinds)
    assert [d.confidence for d in (agreed, alone, words, lying)] == [
        Confidence.HIGH,
        Confidence.LOW,
        Confidence.MODERATE,
        Confidence.LOW,
    ]
    assert (lying.kind, lying.flags) == (ImageKind.T2, (Flag.KIND_CONFLICT,))
    assert any("speaks against it" in text for text in lying.evidence)


def test_evidence_quotes_no_more_than_the_words(kinds: SequenceRules) -> None:
    decision = decide_kind(frame(description="dixon DOE JOHN 1961 _W"), kinds)
    assert decision.kind is ImageKind.DIXON_WATER
    assert not any("doe" in text or "1961" in text for text in decision.evidence)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (ImageKind.CT, {}),
        (ImageKind.CT, {"description": "ABD DWI"}),
        (ImageKind.CT_DERIVED, {"description": "Iodine map ven"}),
        (ImageKind.CT_DERIVED, {"image_type": ("AXIAL", "VNC")}),
        (ImageKind.SUBTRACTION, {"description": "SUB art-nat"}),
    ],
)
def test_ct(kind: ImageKind, said: dict[str, Any], kinds: SequenceRules) -> None:
    assert decide_kind(frame(modality="CT", **said), kinds).kind is kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("T2 HASTE post", ImageKind.T2),
        ("DWI b800 venous", ImageKind.DWI),
        ("ADC portal", ImageKind.ADC),
        ("in phase pre", ImageKind.IN_PHASE),
        ("opp phase art", ImageKind.OPPOSED_PHASE),
        ("MRCP delayed", ImageKind.MRCP),
        ("SUB arterial", ImageKind.SUBTRACTION),
        ("t1_vibe_dixon_F art", ImageKind.DIXON_FAT),
    ],
)
def test_no_other_kind_is_taken_for_a_phase(
    text: str, kind: ImageKind, tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    def edit(dataset: Any, k: int) -> None:
        dataset.AcquisitionTime, dataset.ContrastBolusStartTime = "100110", "100000"
        dataset.ContrastBolusAgent = "Primovist"

    build.write_series(tmp_path, modality="MR", description=text, edit=edit)
    (series,) = read_study(tmp_path, phase_rules=rules).study.series
    assert (series.kind, series.phase, series.phase_confidence) == (kind, Phase.UNKNOWN, Confidence.NONE)
    assert series.phase_evidence[0].detail.endswith("contrast phases are told on CT and T1-weighted images")
    uid = series.series_instance_uid
    (named,) = read_study(tmp_path, phase_rules=rules, overrides={uid: Phase.ARTERIAL}).study.series
    assert (named.phase, named.phase_confidence) == (Phase.ARTERIAL, Confidence.HIGH)


def test_a_water_image_with_a_phase_is_the_dynamic_series(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    for number, text in enumerate(("t1_vibe_dixon_tra_W art", "t1_vibe_dixon_tra_W")):
        build.write_series(tmp_path, modality="MR", description=text, series=1 + number)
    found = {s.description: (s.kind, s.phase) for s in read_study(tmp_path, phase_rules=rules).study.series}
    assert found == {
        "t1_vibe_dixon_tra_W art": (ImageKind.T1_DYNAMIC, Phase.ARTERIAL),
        "t1_vibe_dixon_tra_W": (ImageKind.DIXON_WATER, Phase.UNKNOWN),
    }


def test_private_b_values(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    """Siemens writes the b-value of classic files into an element of its own."""

    def edit(dataset: Any, k: int) -> None:
        dataset.add_new(0x00190010, "LO", "SIEMENS MR HEADER")
        dataset.add_new(0x0019100C, "IS", "800")

    build.write_series(tmp_path, modality="MR", edit=edit)
    (series,) = read_study(tmp_path, phase_rules=rules).study.series
    assert series.kind is ImageKind.DWI
    assert series.kind_evidence == ("b-value 800 s/mm2",)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: t.pop("chemical_shift"),
        lambda t: t["words"][0].update(kind="dynamic"),
        lambda t: t["words"][0].update(patterns=["("]),
        lambda t: t["parameters"][0].update(allows=["x"]),
    ],
)
def test_broken_rules_are_refused(spoil: Any, repository: Path) -> None:
    table = tomllib.loads((repository / "src/liverimg/data/sequences.toml").read_text(encoding="utf-8"))
    spoil(table)
    with pytest.raises(RecordInvalidError):
        SequenceRules.from_table(table)
