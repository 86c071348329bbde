"""Names from elsewhere: what TotalSegmentator, Slicer, planning systems and nnU-Net data sets call things."""

import numpy as np
import pytest

from liverimg.core.drawing import Drawing
from liverimg.core.errors import InputRefusedError
from liverimg.core.labels import Structure
from liverimg.files.tables import read_table, structure_styles
from liverimg.segmentation.label_names import IGNORE, UNDECIDED, NameRules, meaning_of

SIDES = ("left", "right")
LOBES = ("upper_lobe_left", "lower_lobe_left", "upper_lobe_right", "middle_lobe_right", "lower_lobe_right")
# The classes of TotalSegmentator 2.18, tasks total and total_mr, by what they are to us.
TOTALSEGMENTATOR = {
    "liver": ["liver"],
    "gallbladder": ["gallbladder"],
    "spleen": ["spleen"],
    "kidney": [f"kidney_{s}" for s in SIDES],
    "stomach": ["stomach"],
    "pancreas": ["pancreas"],
    "lung": [*(f"lung_{lobe}" for lobe in LOBES), "lung_left", "lung_right"],
    "bowel": ["small_bowel", "duodenum", "colon"],
    "heart": ["heart", "atrial_appendage_left"],
    "aorta": ["aorta"],
    "inferior_vena_cava": ["inferior_vena_cava"],
    "portal_vein": ["portal_vein_and_splenic_vein"],
    "bone": [
        *(f"vertebrae_{v}" for v in ("S1", "L5", "L1", "T12", "T1", "C7", "C1")),
        *(f"rib_{s}_{n}" for s in SIDES for n in range(1, 13)),
        *(f"{bone}_{s}" for bone in ("humerus", "scapula", "clavicula", "femur", "hip") for s in SIDES),
        *("sacrum", "skull", "sternum", "costal_cartilages", "vertebrae"),
    ],
    "muscle": [
        f"{muscle}_{s}"
        for muscle in ("gluteus_maximus", "gluteus_medius", "gluteus_minimus", "autochthon", "iliopsoas")
        for s in SIDES
    ],
    IGNORE: [
        *("adrenal_gland_right", "adrenal_gland_left", "esophagus", "trachea", "thyroid_gland", "urinary_bladder"),
        *("prostate", "kidney_cyst_left", "kidney_cyst_right", "pulmonary_vein", "brachiocephalic_trunk", "brain"),
        *("subclavian_artery_right", "common_carotid_artery_left", "brachiocephalic_vein_left", "superior_vena_cava"),
        *("iliac_artery_left", "iliac_vena_right", "spinal_cord", "intervertebral_discs"),
    ],
    "tumour": ["liver_lesions", "liver_tumor"],
    UNDECIDED: ["liver_vessels"],
}
OTHERS = {
    "liver": ["Liver", "LIVER", "Liver-GTV", "Leber", "liver_segment_4", "Liver_Segment_8"],
    "tumour": ["Tumor", "tumour 2", "GTV", "GTV_1", "gtv-2", "HCC", "Lesion 12", "cancer", "Liver Metastases"],
    "inferior_vena_cava": ["IVC", "V_Cava_Inf", "postcava"],
    "kidney": ["Kidney_L", "Kidney R", "Right kidney"],
    "lung": ["Lung_L", "Lungs"],
    "bowel": ["Bowel_Bag", "Bowel_Small"],
    "portal_vein": ["Portal Vein", "portal_vein"],
    "body": ["External", "BODY"],
    IGNORE: ["PTV_50", "CTV", "SpinalCord", "CouchSurface", "couch interior", "background"],
    None: ["Segment_1", "z_ring", "organ", "liver dome"],
}


@pytest.fixture(scope="module")
def rules() -> NameRules:
    return NameRules.from_table(read_table("label_names"), sct={s: r.sct for s, r in structure_styles().items()})


def drawn(name: str, *codes: str, region: tuple[str, ...] = ()) -> Drawing:
    return Drawing(name, lambda: np.zeros((1, 1, 1), bool), codes, region)


@pytest.mark.parametrize("table", [TOTALSEGMENTATOR, OTHERS], ids=["TotalSegmentator", "others"])
def test_names(table: dict, rules: NameRules) -> None:
    wrong = [
        (name, rules.by_name(name), meaning)
        for meaning, names in table.items()
        for name in names
        if rules.by_name(name) != meaning
    ]
    assert wrong == []


def test_every_structure_is_known_by_its_own_name_and_code(rules: NameRules) -> None:
    for structure, style in structure_styles().items():
        assert rules.by_name(structure.value) == structure
        assert meaning_of(drawn("?", f"SCT:{style.sct}"), rules) == structure
    assert set(rules.priority) == set(Structure)


def test_a_code_speaks_where_the_name_does_not(rules: NameRules) -> None:
    assert meaning_of(drawn("Segment_1", "SCT:10200004"), rules) == "liver"
    assert meaning_of(drawn("Segment_1", "SRT:T-62000"), rules) == "liver"
    assert meaning_of(drawn("portal vein", "SCT:59820001"), rules) == "portal_vein"
    assert meaning_of(drawn("Segment_1", "99X:1"), rules) is None


def test_a_name_and_a_code_that_disagree_need_a_person(rules: NameRules) -> None:
    with pytest.raises(InputRefusedError, match="one meaning"):
        meaning_of(drawn("Tumour", "SCT:10200004"), rules)


def test_the_user_s_own_names_win(rules: NameRules) -> None:
    own = rules.with_own({"Segment_1": "tumour", "Tumour": "liver", "PTV_50": "ignore"}, "names.toml")
    assert meaning_of(drawn("segment_1"), own) == "tumour"
    assert meaning_of(drawn("Tumour", "SCT:52988006"), own) == "liver"
    with pytest.raises(InputRefusedError, match=r"names\.toml.*'lever'"):
        rules.with_own({"a": "lever"}, "names.toml")


def test_an_abnormality_belongs_to_its_organ(rules: NameRules) -> None:
    kidney, liver = ("SCT:64033007",), ("SCT:10200004",)
    assert meaning_of(drawn("mass", "SCT:4147007", region=kidney), rules) == IGNORE
    assert meaning_of(drawn("mass", "SCT:4147007", region=liver), rules) == "tumour"
    assert meaning_of(drawn("mass", "SCT:4147007"), rules) == "tumour"
