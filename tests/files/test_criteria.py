"""Criteria tables as files: what is wrong with one is said in a sentence, a good one is judged."""

import tomllib
from pathlib import Path

import pytest
from tests.assess.made import assess, category, finding, measurement, tumours

from liverimg.assess.describe import rule_text, rule_thresholds
from liverimg.core.assessment import Verdict
from liverimg.core.criteria import AllOf, AnyOf, Compare, Not, WordIs
from liverimg.core.errors import RecordInvalidError
from liverimg.files.criteria import bundled_criteria, criteria_names, load_criteria, own_criteria, own_criteria_set

HEAD = 'id = "mine"\ntitle = "Mine"\nedition = "today"\n'
SIZE = '[[criterion]]\nid = "m.size"\ntitle = "Size"\nscope = "lesion"\nsource = "ward"\n'


def table(text: str):
    return load_criteria(tomllib.loads(text), file_name="mine.toml")


BAD = [
    ("", "id"),
    ('id = "x"\ntitle = "x"\n', "edition"),
    (HEAD, "no rule"),
    (HEAD + "colour = 3\n" + SIZE, "colour"),
    (HEAD + "criterion = 3\n", "list of tables"),
    (HEAD + 'conflicts = "none"\n' + SIZE, "list of sentences"),
    (HEAD + 'sites = ["knee"]\n' + SIZE, "knee"),
    (HEAD + '[[criterion]]\ntitle = "x"\nquantity = "inr"\noperator = "<"\n', "no 'id'"),
    (HEAD + '[[criterion]]\nid = "x"\ntitle = "x"\n', "no 'quantity'"),
    (HEAD + SIZE + 'quantity = "axial_long_diamter"\n', "did you mean axial_long_diameter"),
    (
        HEAD + SIZE + 'quantity = "axial_long_diameter"\noperator = "~"\nthresholds = [{ value = 3, unit = "mm" }]\n',
        "~",
    ),
    (
        HEAD
        + SIZE
        + 'quantity = "axial_long_diameter"\noperator = "within"\nthresholds = [{ value = 3, unit = "mm" }]\n',
        "within with 2",
    ),
    (
        HEAD + SIZE + 'quantity = "axial_long_diameter"\noperator = "<="\nthresholds = [{ value = 3, unit = "cm" }]\n',
        "'cm'.*'mm'",
    ),
    (
        HEAD
        + SIZE
        + 'quantity = "axial_long_diameter"\noperator = "<="\nthresholds = [{ value = nan, unit = "mm" }]\n',
        "nan",
    ),
    (
        HEAD
        + SIZE
        + 'quantity = "axial_long_diameter"\noperator = "<="\nthresholds = [{ value = "3", unit = "mm" }]\n',
        "'3'",
    ),
    (HEAD + SIZE + 'quantity = "axial_long_diameter"\noperator = "<="\nthresholds = 3\n', "list of"),
    (HEAD + SIZE + 'quantity = "axial_long_diameter"\noperator = "<="\nthresholds = [{ worth = 3 }]\n', "worth"),
    (HEAD + SIZE + "rule = 3\n", "where a rule belongs"),
    (HEAD + SIZE + "rule = { all = [] }\n", "empty 'all'"),
    (HEAD + SIZE + "rule = { all = [], any = [] }\n", "only all"),
    (HEAD + SIZE + 'rule = { rule = "other" }\n', "other"),
    (HEAD + SIZE + 'rule = { quantity = "axial_long_diameter" }\n', "compares with nothing"),
    (HEAD + SIZE + 'rule = { quantity = "axial_long_diameter", above = 1, below = 2, unit = "mm" }\n', "above|below"),
    (HEAD + SIZE + 'rule = { quantity = "axial_long_diameter", between = [3, 1], unit = "mm" }\n', "smaller one first"),
    (HEAD + SIZE + 'rule = { quantity = "axial_long_diameter", between = 3, unit = "mm" }\n', "threshold"),
    (HEAD + SIZE + 'rule = { quantity = "axial_long_diameter", at_most = true, unit = "mm" }\n', "True"),
    (HEAD + SIZE + 'rule = { item = "knee", is = "yes" }\n', "knee"),
    (HEAD + SIZE + 'rule = { item = "inr", is = "yes" }\n', "is a number"),
    (HEAD + SIZE + 'rule = { item = "ascites_grade", is = "some" }\n', "none, mild"),
    (HEAD + SIZE + 'rule = { quantity = "ascites_grade", at_most = 1 }\n', "is a word"),
    (HEAD + SIZE + 'rule = { max = "inr", at_most = 1 }\n', "single lesions"),
    (HEAD + SIZE.replace("lesion", "planet"), "planet"),
    (
        HEAD + SIZE.replace("lesion", "study") + 'rule = { quantity = "volume", at_most = 1, unit = "ml" }\n',
        "max, min or sum",
    ),
    (HEAD + SIZE + 'rule = { add = [{ quantity = "volume" }], at_most = 1 }\n', "two numbers"),
    (HEAD + SIZE + 'rule = { add = [{ quantity = "volume" }, { quantity = "inr" }], at_most = 1 }\n', "one unit"),
    (HEAD + SIZE + 'rule = { quantity = "volume", per = 0, at_most = 1 }\n', "above 0"),
    (HEAD + SIZE + 'rule = { quantity = "volume", max = "volume", at_most = 1 }\n', "exactly one"),
    (HEAD + SIZE + "rule = " + "{ not = " * 30 + '{ item = "icgr15", is = "normal" }' + " }" * 30 + "\n", "nests"),
    (HEAD + (SIZE + 'rule = { item = "icgr15", is = "normal" }\n') * 2, "twice"),
    (HEAD + SIZE + 'only_with = ["knee"]\nrule = { item = "icgr15", is = "normal" }\n', "knee"),
    (
        HEAD + '[item.inr]\nkind = "number"\nunit = "1"\n' + SIZE + 'rule = { item = "icgr15", is = "normal" }\n',
        "there already",
    ),
    (HEAD + '[item.a]\nkind = "colour"\n' + SIZE, "colour"),
    (HEAD + '[item.a]\nkind = "word"\n' + SIZE, "no words"),
    (HEAD + '[item.a]\nkind = "number"\n' + SIZE, "no unit"),
    (HEAD + '[item.a]\nkind = "number"\nunit = "1"\nplausible = [2, 1]\n' + SIZE, "smaller value first"),
    (HEAD + '[item.a]\nkind = "number"\nunit = "1"\nplausible = 2\n' + SIZE, "smallest and the largest"),
    (HEAD + '[item.a]\nkind = "number"\nunit = "1"\nfoo = 2\n' + SIZE, "foo"),
    (HEAD + '[[category]]\nid = "c"\ntitle = "c"\n', "no 'choice'"),
    (HEAD + '[[category]]\nid = "c"\ntitle = "c"\n[[category.choice]]\nname = "a"\n', "no 'rule'"),
]


@pytest.mark.parametrize(("text", "words"), BAD, ids=range(len(BAD)))
def test_a_bad_table_is_refused_in_one_sentence(text, words):
    with pytest.raises(RecordInvalidError, match=words) as refused:
        table(text)
    said = str(refused.value)
    assert "mine.toml" in said
    assert "\n" not in said
    assert "expected" in said


GOOD = """
id = "mine"
title = "Rules of our clinic"
edition = "2026-11"

[item.frailty]
kind = "number"
unit = "1"
plausible = [0, 10]

[rule.no_thrombus]
item = "portal_vein_thrombus"
is = "absent"

[[criterion]]
id = "mine.size"
title = "Size for one session here"
scope = "lesion"
quantity = "axial_long_diameter"
operator = "<="
thresholds = [{ value = 25, unit = "mm", source = "our own series" }]
source = "our own series"

[[criterion]]
id = "mine.all"
title = "Everything together"
rule = { all = [{ rule = "no_thrombus" }, { not = { quantity = "frailty", above = 5 } },
    { count = { quantity = "axial_long_diameter", above = 20, unit = "mm" }, at_most = 1 }] }
source = "our own series"

[[category]]
id = "mine.band"
title = "Band"
[[category.choice]]
name = "low"
rule = { quantity = "frailty", at_most = 3 }
[[category.choice]]
name = "high"
rule = { quantity = "frailty", above = 3 }
"""


def test_a_good_table_is_judged():
    mine = table(GOOD)
    two = tumours(25.0, 25.1)
    found = assess(two, mine, {"portal_vein_thrombus": "absent", "frailty": 5})
    assert finding(found, "mine.size", "L1").verdict is Verdict.MET
    assert finding(found, "mine.size", "L2").verdict is Verdict.NOT_MET
    assert finding(found, "mine.all").verdict is Verdict.NOT_MET
    assert category(found, "mine.band").answer == "high"
    one = assess(tumours(25.0, 20.0), mine, {"portal_vein_thrombus": "absent", "frailty": 5})
    assert finding(one, "mine.all").verdict is Verdict.MET
    frail = assess(tumours(25.0, 20.0), mine, {"portal_vein_thrombus": "absent", "frailty": 5.1})
    assert finding(frail, "mine.all").verdict is Verdict.NOT_MET
    unsure = assess(tumours(25.0, (20.0, 19.0, 21.0)), mine, {"portal_vein_thrombus": "absent", "frailty": 5})
    assert finding(unsure, "mine.all").verdict is Verdict.UNDETERMINED
    software = assess(tumours(25.0, count=False), mine, {"portal_vein_thrombus": "absent", "frailty": 5})
    assert finding(software, "mine.all").verdict is Verdict.UNDETERMINED


@pytest.mark.parametrize(
    ("rule", "sizes", "verdict"),
    [
        ('{ min = "axial_long_diameter", at_least = 10, unit = "mm" }', (10.0, 30.0), Verdict.MET),
        ('{ min = "axial_long_diameter", at_least = 10, unit = "mm" }', (9.9, 30.0), Verdict.NOT_MET),
        ('{ max = "axial_long_diameter", per = 10, at_most = 3 }', (10.0, 30.0), Verdict.MET),
        ('{ sum = "axial_long_diameter", between = [30, 40], unit = "mm" }', (10.0, 30.0), Verdict.MET),
        ('{ sum = "axial_long_diameter", below = 40, unit = "mm" }', ((10.0, 9.0, 11.0), 29.5), Verdict.UNDETERMINED),
        ('{ sum = "axial_long_diameter", below = 40, unit = "mm" }', ((10.0, 9.0, 10.4), 29.5), Verdict.MET),
    ],
)
def test_over_lesions(rule, sizes, verdict):
    mine = table(HEAD + f'[[criterion]]\nid = "m"\ntitle = "m"\nrule = {rule}\n')
    assert finding(assess(tumours(*sizes), mine), "m").verdict is verdict


@pytest.mark.parametrize(
    ("over", "verdict"),
    [("max", Verdict.NOT_MET), ("min", Verdict.UNDETERMINED), ("sum", Verdict.NOT_MET)],
)
def test_a_lesion_that_nobody_outlined_can_only_add(over, verdict):
    mine = table(
        HEAD
        + '[[criterion]]\nid = "m"\ntitle = "m"\n'
        + f'rule = {{ {over} = "axial_long_diameter", below = 20, unit = "mm" }}\n'
    )
    assert finding(assess(tumours(30.0, count=False), mine), "m").verdict is verdict


def test_the_smallest_of_some_is_an_upper_end():
    mine = table(
        HEAD
        + '[[criterion]]\nid = "m"\ntitle = "m"\nrule = { min = "distance_to_bile_duct", at_least = 10, unit = "mm" }\n'
    )
    near = tumours(30.0, count=False)
    lesion = near.lesions[0]
    lesion = type(lesion)(lesion.id, lesion.centroid_lps_mm, (measurement("distance_to_bile_duct", 5.0),))
    found = finding(assess(type(near)((lesion,), ()), mine), "m")
    assert found.verdict is Verdict.NOT_MET
    assert "at most 5 mm" in found.statement


def test_own_tables_are_read_with_their_hash(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD, encoding="utf-8")
    rows, sha256 = own_criteria(path)
    assert rows["id"] == "mine"
    assert own_criteria_set(path).sha256 == sha256
    assert len(sha256) == 64
    path.write_text(GOOD + "# changed\n", encoding="utf-8")
    assert own_criteria(path)[1] != sha256


@pytest.mark.parametrize("content", [b"\xff\xfe", b"id = ", b"a" * 10])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes):
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(RecordInvalidError, match=r"mine\.toml"):
        own_criteria(path)
    with pytest.raises(RecordInvalidError, match="does not exist"):
        own_criteria(tmp_path / "none.toml")


@pytest.mark.parametrize("name", criteria_names())
def test_every_rule_that_comes_along_has_a_source_and_words(name: str):
    rules = bundled_criteria(name)
    for criterion in rules.criteria:
        assert criterion.source
        assert criterion.when_met and criterion.when_not_met
        assert rule_text(criterion.rule)
        assert all(t.source and t.unit for t in rule_thresholds(criterion.rule))
    for each in rules.categories:
        assert each.source
        assert len({choice.name for choice in each.choices}) == len(each.choices)


def test_an_unknown_table_is_named():
    with pytest.raises(RecordInvalidError, match="hifu_suitability"):
        bundled_criteria("nope")


def leaves(rule):
    if isinstance(rule, AllOf | AnyOf):
        return [leaf for part in rule.rules for leaf in leaves(part)]
    return leaves(rule.rule) if isinstance(rule, Not) else [rule]


@pytest.mark.parametrize("name", criteria_names())
def test_an_open_answer_always_says_what_would_settle_it(name: str):
    """On an empty study with an empty clinical file, every rule that is open names a scan or a datum."""
    found = assess(tumours(), bundled_criteria(name))
    for each in (*found.findings, *found.classifications):
        assert each.settled_by, each.title
    assert all(isinstance(leaf, Compare | WordIs) for c in bundled_criteria(name).criteria for leaf in leaves(c.rule))
