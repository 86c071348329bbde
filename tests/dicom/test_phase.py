"""Phases: by time after injection, by words in many languages, by agent, by the rest of the study, by the user."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liverimg.core.errors import RecordInvalidError, UsageError
from liverimg.core.study import Confidence, Modality, Phase
from liverimg.dicom.codes import Flag
from liverimg.dicom.frame import PhaseTags
from liverimg.dicom.phase import PhaseDecision, PhaseInput, PhaseRules, decide_phase, phases_in_text
from liverimg.dicom.phase_words import ENHANCED
from liverimg.dicom.study import read_study

WORDS = {
    Phase.UNENHANCED: [
        "Abdomen native", "LEBER NATIV", "ABD W/O", "NON CONTRAST 5.0", "Non-Contrast", "unenhanced", "ABDOMEN C-",
        "Foie sans injection", "FOIE SANS IV", "SIN CONTRASTE", "Fegato senza mdc", "basale", "Fígado sem contraste",
        "Abdomen ohne KM", "zonder contrast", "utan kontrast", "bez kontrastu", "без контраста", "нативная фаза",
        "平扫", "腹部平扫", "単純", "造影前", "T1 VIBE pre", "pre contrast", "PRECONTRAST", "NECT", "plain CT",
        "without contrast", "조영전", "kontrastsız",
    ],
    Phase.EARLY_ARTERIAL: [
        "early arterial", "EARLY ART 1.0", "früharteriell", "FRUEHARTERIELL", "artériel précoce", "arterial temprana",
        "动脉早期", "早期動脈相", "ранняя артериальная", "arteriosa precoce", "Hígado arterial precoz",
    ],
    Phase.ARTERIAL: [
        "ARTERIAL PHASE", "late arterial", "Leber arteriell 3mm", "art. Phase", "ABD ART", "spätarteriell",
        "temps artériel", "fase arterial", "fase arteriosa", "arteriële fase", "faza tętnicza", "артериальная фаза",
        "动脉期", "動脈相", "動脈優位相", "동맥기", "arteriyel faz", "LAP", "T1_vibe_art",
    ],
    Phase.PORTAL_VENOUS: [
        "PORTAL VENOUS", "portalvenös", "PORTALVENOES 1.5", "pv phase", "VENOUS PHASE", "LIVER VENOUS 70S",
        "venös", "temps portal", "phase veineuse portale", "fase portal", "fase venosa", "fase portale", "veneuze fase",
        "faza wrotna", "faza żylna", "портальная фаза", "венозная фаза", "门脉期", "门静脉期", "静脉期", "門脈相",
        "문맥기", "venöz faz", "PVP", "porto-venous", "ABD PORT", "portovenosa", "Abdomen ven 2.0",
    ],
    Phase.DELAYED: [
        "DELAYED", "delay 5 min", "Late venous", "spätvenös", "SPAETPHASE", "equilibrium", "temps tardif",
        "fase tardia", "fase tardiva", "laat", "отсроченная фаза", "延迟期", "平衡相", "後期相", "지연기", "geç faz",
        "transitional", "late phase", "équilibre",
    ],
    Phase.HEPATOBILIARY: [
        "HBP", "Hepatobiliary 20min", "T1 VIBE hepatobiliär", "hepatocellular phase", "phase hépatobiliaire",
        "fase epatobiliare", "гепатобилиарная фаза", "肝胆期", "肝細胞造影相", "간담도기", "leberspezifisch",
    ],
}  # fmt: skip
NAMELESS = [
    "", "ABDOMEN", "Abdomen 5.0 B30f", "Liver 1.25mm", "T2 HASTE", "LIVER STD", "CT THORAX ABDOMEN", "AXIAL", "part 2",
    "start", "vendor default", "Abd Routine", "T1 VIBE", "export", "Recon 2: LIVER", "apex", "smart prep off",
    "Report", "important", "CAP 3mm", "single", "departure", "uncle", "Leber", "dpi", "simplex", "PRE-OP LIVER",
    "pre ablation CT", "Pre_HIFU 1.0", "CT AP", "Spatial", "肝胆胰脾", "TC del abdomen",
    "Hepatocellular carcinoma", "肺动脉",
]  # fmt: skip


def decide(
    rules: PhaseRules, *, modality: Modality = Modality.CT, acquired: float | None = 36_000, before: bool = False,
    override: Phase | None = None, **tags: Any,
) -> PhaseDecision:  # fmt: skip
    given_tags = PhaseInput(modality, PhaseTags(**tags), acquired, before)
    return decide_phase(given_tags, rules, override=override)


@pytest.mark.parametrize(
    ("phase", "text"), [(phase, text) for phase, texts in WORDS.items() for text in texts], ids=str
)
def test_words(phase: Phase, text: str, rules: PhaseRules) -> None:
    decision = decide(rules, series_description=text)
    assert decision.phase is phase
    assert [e.source for e in decision.evidence] == ["SeriesDescription"]
    assert decision.flags == ()


@pytest.mark.parametrize("text", NAMELESS)
def test_words_that_name_no_phase(text: str, rules: PhaseRules) -> None:
    decision = decide(rules, series_description=text, protocol_name=text)
    assert decision == PhaseDecision(Phase.UNKNOWN, (), ())


@pytest.mark.parametrize(
    "text",
    [
        "ABD ART+PV",
        "arterial/portal venous",
        "nativ + ven",
        "3 phase art ven del",
        "ABD W/O & W",
        "with and without contrast",
        "triphasic liver",
        "mit und ohne KM",
        "Leber 3-Phasen",
    ],
)
def test_several_phases_in_a_description_are_no_evidence(text: str, rules: PhaseRules) -> None:
    decision = decide(rules, series_description=text)
    assert decision.phase is Phase.UNKNOWN
    assert decision.flags == (Flag.PHASE_AMBIGUOUS,)


def test_the_protocol_counts_only_when_the_description_says_nothing(rules: PhaseRules) -> None:
    assert decide(rules, series_description="VENOUS", protocol_name="ARTERIAL").phase is Phase.PORTAL_VENOUS
    second = decide(rules, series_description="Abd 3.0", protocol_name="Liver arterial")
    assert second.phase is Phase.ARTERIAL
    assert second.evidence[0].source == "ProtocolName"


@pytest.mark.parametrize(
    ("modality", "text", "phase"),
    [
        (Modality.CT, "LIVER 35s", Phase.ARTERIAL), (Modality.CT, "LIVER 70 SEC", Phase.PORTAL_VENOUS),
        (Modality.CT, "Leber 5 min", Phase.DELAYED), (Modality.CT, "肝脏 70秒", Phase.PORTAL_VENOUS),
        (Modality.MR, "T1 20 MIN", Phase.DELAYED), (Modality.MR, "VIBE 60s", Phase.PORTAL_VENOUS),
        (Modality.CT, "B30s 1.5", Phase.UNKNOWN), (Modality.CT, "0.5s rotation", Phase.UNKNOWN),
    ],
)  # fmt: skip
def test_a_delay_in_the_description(modality: Modality, text: str, phase: Phase, rules: PhaseRules) -> None:
    assert decide(rules, modality=modality, series_description=text).phase is phase


@pytest.mark.parametrize(
    ("delay_s", "phase"),
    [
        (-300, Phase.UNENHANCED), (5, Phase.UNENHANCED), (0, Phase.UNKNOWN), (18, Phase.EARLY_ARTERIAL),
        (35, Phase.ARTERIAL),
        (70, Phase.PORTAL_VENOUS), (95, Phase.PORTAL_VENOUS), (135, Phase.UNKNOWN), (240, Phase.DELAYED),
        (600, Phase.DELAYED), (4000, Phase.UNKNOWN), (-5000, Phase.UNKNOWN),
    ],
)  # fmt: skip
@pytest.mark.parametrize("start_s", [0.0, 30_000.0, 86_390.0])
def test_ct_times(delay_s: float, phase: Phase, start_s: float, rules: PhaseRules) -> None:
    """Across midnight as well."""
    decision = decide(rules, acquired=(start_s + delay_s) % 86_400, contrast_start_s=start_s, contrast_agent="IODINE")
    assert decision.phase is phase
    assert decision.flags == ()
    if phase is not Phase.UNKNOWN:
        assert decision.evidence[0].source == "ContrastBolusStartTime"
        assert decision.evidence[0].detail == f"{delay_s:.0f} s after the start of injection"


@pytest.mark.parametrize(
    ("delay_s", "agent", "phase"),
    [
        (-60, "Gd", Phase.UNENHANCED), (25, "Gd", Phase.ARTERIAL), (65, "Gd", Phase.PORTAL_VENOUS),
        (200, "Primovist", Phase.DELAYED), (1200, "PRIMOVIST 0.25", Phase.HEPATOBILIARY),
        (1200, "gadoxetate disodium", Phase.HEPATOBILIARY), (1200, "Gadovist", Phase.DELAYED),
    ],
)  # fmt: skip
def test_mr_times(delay_s: float, agent: str, phase: Phase, rules: PhaseRules) -> None:
    decision = decide(
        rules, modality=Modality.MR, acquired=50_000 + delay_s, contrast_start_s=50_000, contrast_agent=agent
    )
    assert decision.phase is phase


def test_near_a_border_the_description_decides(rules: PhaseRules) -> None:
    """55 s may be late arterial or early portal venous: no conflict with either word."""
    for text, phase in (("ARTERIAL", Phase.ARTERIAL), ("PORTAL VENOUS", Phase.PORTAL_VENOUS)):
        decision = decide(rules, acquired=1055, contrast_start_s=1000, series_description=text)
        assert (decision.phase, decision.flags) == (phase, ())
    assert decide(rules, acquired=1055, contrast_start_s=1000).phase is Phase.ARTERIAL


def test_time_and_words_disagree(rules: PhaseRules) -> None:
    decision = decide(rules, acquired=1070, contrast_start_s=1000, series_description="ARTERIAL")
    assert decision.phase is Phase.PORTAL_VENOUS
    assert decision.flags == (Flag.PHASE_CONFLICT,)
    assert {e.says for e in decision.evidence} == {Phase.PORTAL_VENOUS, Phase.ARTERIAL}


def test_time_and_words_agree(rules: PhaseRules) -> None:
    decision = decide(rules, acquired=1070, contrast_start_s=1000, series_description="pv")
    assert (decision.phase, decision.flags, len(decision.evidence)) == (Phase.PORTAL_VENOUS, (), 2)


@pytest.mark.parametrize("agent", ["NONE", "none", "No", "ohne", "NO IV CONTRAST", "PRE_CONTRAST"])
def test_agent_that_says_none(agent: str, rules: PhaseRules) -> None:
    assert decide(rules, contrast_agent=agent).phase is Phase.UNENHANCED


@pytest.mark.parametrize("agent", ["", None])
def test_no_agent_says_nothing(agent: str | None, rules: PhaseRules) -> None:
    assert decide(rules, contrast_agent=agent) == PhaseDecision(Phase.UNKNOWN, (), ())


@pytest.mark.parametrize("agent", ["Omnipaque 350", "APPLIED", "NOVAPAQUE", "IOHEXOL"])
def test_an_agent_alone_names_no_phase_but_speaks_against_unenhanced(agent: str, rules: PhaseRules) -> None:
    decision = decide(rules, contrast_agent=agent)
    assert (decision.phase, decision.confidence, decision.flags) == (Phase.UNKNOWN, Confidence.NONE, ())
    (item,) = decision.evidence
    # Nor for hepatobiliary, which only MR with an agent of the liver cells shows.
    assert (item.says, set(item.allows)) == (Phase.UNKNOWN, set(ENHANCED) - {Phase.HEPATOBILIARY})
    on_mr = decide(rules, modality=Modality.MR, contrast_agent="Primovist")
    assert Phase.HEPATOBILIARY in on_mr.evidence[0].allows


@pytest.mark.parametrize("delay_s", [0, 1, -2])
def test_a_start_that_is_the_time_of_the_scan_is_no_start(delay_s: float, rules: PhaseRules) -> None:
    """Several makers copy it; nobody scans two seconds after the injection began."""
    decision = decide(rules, acquired=1000 + delay_s, contrast_start_s=1000, series_description="VENOUS")
    assert (decision.phase, decision.flags) == (Phase.PORTAL_VENOUS, ())


@pytest.mark.parametrize(
    "text",
    [
        "T1 VIBE post",
        "ABD post contrast",
        "C+ 3mm",
        "Leber mit KM",
        "CECT ABD",
        "con contraste",
        "avec injection",
        "肝脏增强",
        "造影後",
    ],
)
def test_words_that_say_only_that_contrast_was_given(text: str, rules: PhaseRules) -> None:
    decision = decide(rules, series_description=text)
    assert (decision.phase, decision.flags) == (Phase.UNKNOWN, ())
    assert [(e.says, e.allows) for e in decision.evidence] == [(Phase.UNKNOWN, ENHANCED)]


@pytest.mark.parametrize(
    "text", ["post op", "POST TACE 3mm", "post-ablation", "postprocessed", "posterior", "Postprocess"]
)
def test_post_is_not_always_contrast(text: str, rules: PhaseRules) -> None:
    assert decide(rules, series_description=text) == PhaseDecision(Phase.UNKNOWN, (), ())


@pytest.mark.parametrize(
    ("word", "phase"),
    [
        ("PRE_CONTRAST", Phase.UNENHANCED), ("ARTERIAL", Phase.ARTERIAL), ("PORTAL_VENOUS", Phase.PORTAL_VENOUS),
        ("VENOUS", Phase.PORTAL_VENOUS), ("DELAYED", Phase.DELAYED), ("POST_CONTRAST", Phase.UNKNOWN),
        ("DYNAMIC", Phase.UNKNOWN),
    ],
)  # fmt: skip
def test_the_scanners_own_word(word: str, phase: Phase, rules: PhaseRules) -> None:
    decision = decide(rules, agent_phase=word, contrast_agent="I")
    assert decision.phase is phase
    assert decision.evidence[0].source == "ContrastBolusAgentPhase"


def test_arterial_by_name_and_early_by_time_is_no_conflict(rules: PhaseRules) -> None:
    decision = decide(rules, acquired=1020, contrast_start_s=1000, series_description="ABD ART")
    assert (decision.phase, decision.flags) == (Phase.EARLY_ARTERIAL, ())
    late = decide(rules, acquired=1015, contrast_start_s=1000, series_description="late arterial")
    assert late.flags == (Flag.PHASE_CONFLICT,)


def test_confidence(rules: PhaseRules) -> None:
    """High: two strong sources agree. Moderate: one. Low: weak ones, or a disagreement. None: unknown."""
    both = decide(rules, acquired=1070, contrast_start_s=1000, series_description="pv")
    one = decide(rules, series_description="pv")
    weak = decide(rules, series_description="x", protocol_name="Liver pv")
    against = decide(rules, acquired=1070, contrast_start_s=1000, series_description="ARTERIAL")
    nothing = decide(rules, series_description="x")
    near_a_border = decide(rules, acquired=1055, contrast_start_s=1000, series_description="pv")
    found = [d.confidence for d in (both, one, weak, against, nothing, near_a_border)]
    wanted = [
        Confidence.HIGH,
        Confidence.MODERATE,
        Confidence.LOW,
        Confidence.LOW,
        Confidence.NONE,
        Confidence.MODERATE,
    ]
    assert found == wanted


def test_no_contrast_tag_before_series_that_have_one(rules: PhaseRules) -> None:
    assert decide(rules, before=True).phase is Phase.UNENHANCED
    assert decide(rules, before=True, contrast_agent="IODINE").phase is Phase.UNKNOWN
    conflict = decide(rules, before=True, series_description="VENOUS")
    assert (conflict.phase, conflict.flags) == (Phase.PORTAL_VENOUS, (Flag.PHASE_CONFLICT,))


def test_called_unenhanced_with_an_agent_on_record(rules: PhaseRules) -> None:
    decision = decide(rules, series_description="native", contrast_agent="Omnipaque")
    assert (decision.phase, decision.flags) == (Phase.UNENHANCED, (Flag.PHASE_CONFLICT,))
    early = decide(rules, series_description="native", contrast_agent="Omnipaque", acquired=900, contrast_start_s=1000)
    assert (early.phase, early.flags) == (Phase.UNENHANCED, ())


@pytest.mark.parametrize("phase", list(Phase))
def test_the_user_wins(phase: Phase, rules: PhaseRules) -> None:
    decision = decide(rules, acquired=1070, contrast_start_s=1000, series_description="ART", override=phase)
    assert decision.phase is phase
    assert decision.evidence[0].source == "user"
    assert decision.flags == (Flag.PHASE_BY_USER,)


@given(text=st.text(max_size=60), agent=st.none() | st.text(max_size=20), start=st.none() | st.floats(0, 86_399))
def test_any_text_is_survived_and_evidence_carries_its_phase(
    text: str, agent: str | None, start: float | None, rules: PhaseRules
) -> None:
    decision = decide(rules, series_description=text, contrast_agent=agent, contrast_start_s=start)
    if decision.phase is not Phase.UNKNOWN:
        assert decision.evidence[0].says is decision.phase
    excluded = any(decision.phase not in (e.says, *e.allows) for e in decision.evidence)
    assert decision.phase is Phase.UNKNOWN or excluded is (Flag.PHASE_CONFLICT in decision.flags)
    assert (decision.confidence is Confidence.NONE) is (decision.phase is Phase.UNKNOWN)


def test_evidence_quotes_the_word_and_nothing_else(rules: PhaseRules) -> None:
    decision = decide(rules, series_description="DOE JOHN venous 1961-02-03")
    assert "DOE" not in decision.evidence[0].detail
    assert "1961" not in decision.evidence[0].detail


def test_phases_of_a_study(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    """Four phases from tags only, named in order; an override by series UID."""
    for number, (clock, agent) in enumerate((("095500", None), ("100035", "I"), ("100110", "I"), ("100400", "I"))):

        def edit(dataset: Any, k: int, clock: str = clock, agent: str | None = agent) -> None:
            dataset.AcquisitionTime = clock
            if agent:
                dataset.ContrastBolusAgent, dataset.ContrastBolusStartTime = agent, "100000"

        build.write_series(tmp_path, series=number, edit=edit)
    found = read_study(tmp_path, phase_rules=rules)
    phases = [series.phase for series in found.study.series]
    assert phases == [Phase.UNENHANCED, Phase.ARTERIAL, Phase.PORTAL_VENOUS, Phase.DELAYED]
    assert [series.acquired_at for series in found.study.series][1] == "20260101100035"
    uid = found.study.series[1].series_instance_uid
    again = read_study(tmp_path, phase_rules=rules, overrides={uid: Phase.PORTAL_VENOUS})
    assert again.study.series[1].phase is Phase.PORTAL_VENOUS
    assert again.study.series[1].phase_evidence[0].source == "user"


@pytest.mark.parametrize("spoil", ["later", "derived"])
def test_a_missing_contrast_tag_alone_proves_nothing(
    spoil: str, tmp_path: Path, build: ModuleType, rules: PhaseRules
) -> None:
    """A reconstruction that lost its tags must not be called unenhanced."""

    def plain(dataset: Any, k: int) -> None:
        if spoil == "derived":
            dataset.ImageType = ["DERIVED", "SECONDARY", "MPR"]
        else:
            dataset.AcquisitionTime = "101500"

    def enhanced(dataset: Any, k: int) -> None:
        dataset.AcquisitionTime, dataset.ContrastBolusAgent = "100300", "I"

    build.write_series(tmp_path, edit=plain)
    build.write_series(tmp_path, series=2, edit=enhanced)
    assert {s.phase for s in read_study(tmp_path, phase_rules=rules).study.series} == {Phase.UNKNOWN}


def test_override_of_an_unknown_series(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    build.write_series(tmp_path)
    with pytest.raises(UsageError, match=r"1\.2\.3"):
        read_study(tmp_path, phase_rules=rules, overrides={"1.2.3": Phase.ARTERIAL})


def test_phases_split_from_one_series_get_their_own_time(tmp_path: Path, build: ModuleType, rules: PhaseRules) -> None:
    for phase, clock in enumerate(("100035", "100110")):

        def edit(dataset: Any, k: int, phase: int = phase, clock: str = clock) -> None:
            dataset.AcquisitionNumber, dataset.AcquisitionTime = 1 + phase, clock
            dataset.ContrastBolusAgent, dataset.ContrastBolusStartTime = "I", "100000"

        build.write_series(tmp_path, first_instance=1 + 100 * phase, edit=edit)
    found = read_study(tmp_path, phase_rules=rules)
    assert [series.phase for series in found.study.series] == [Phase.ARTERIAL, Phase.PORTAL_VENOUS]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: t.pop("timing"),
        lambda t: t["description"][0].update(phase="venous"),
        lambda t: t["description"][0].update(patterns=["("]),
        lambda t: t["timing"]["CT"][0].update(from_s="soon"),
        lambda t: t["weighing"].pop("strong_from"),
        lambda t: t["usual"]["CT"].update(venous=[1, 2]),
        lambda t: t["roles"].update(best=["arterial"]),
    ],
)
def test_broken_rules_are_refused(spoil: Any, repository: Path) -> None:
    table = tomllib.loads((repository / "src/liverimg/data/phases.toml").read_text(encoding="utf-8"))
    spoil(table)
    with pytest.raises(RecordInvalidError):
        PhaseRules.from_table(table)


def test_every_time_in_the_rules_has_a_source(repository: Path) -> None:
    table = tomllib.loads((repository / "src/liverimg/data/phases.toml").read_text(encoding="utf-8"))
    for rows in table["timing"].values():
        assert all(row["source"] for row in rows)
    for section in ("hepatobiliary_from_s", "longest_delay_s"):
        assert table["agent"][section]["source"] and table["agent"][section]["unit"] == "s"


def test_specific_words_are_not_found_inside_others(rules: PhaseRules) -> None:
    assert phases_in_text("spätarteriell", rules) == {Phase.ARTERIAL: "spatarteriell"}
    assert phases_in_text("early arterial", rules) == {Phase.EARLY_ARTERIAL: "early arterial"}
    assert not re.search("[A-Z]", "".join(phases_in_text("Late VENOUS", rules).values()))
