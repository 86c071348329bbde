"""The pages of rules and of the clinical data that they ask for."""

from tools.reference.note import NOTE

from liverimg.assess.describe import rule_text, rule_thresholds
from liverimg.core.criteria import Criterion
from liverimg.core.vocabulary import ClinicalItem, ScorePart
from liverimg.files.catalogue import lesion_sites, vocabulary
from liverimg.files.criteria import bundled_criteria, criteria_names


def criteria() -> str:
    """``criteria.md``."""
    lines = ["# Criteria", NOTE, "Every rule that comes with liverimg, with its numbers and where they come from;"]
    lines += ["`liverimg criteria` shows the same. How to read a rule and how to write your own:"]
    lines += ["[add a criterion](../how-to/add-a-criterion.md)."]
    for name in criteria_names():
        table = bundled_criteria(name)
        lines += ["", f"## {table.title}", "", f"`{table.id}`. {table.edition}."]
        if table.sites:
            lines += ["", f"Judges lesions of: {', '.join(site.replace('_', ' ') for site in table.sites)}."]
        if table.criteria:
            lines += [
                "",
                "| id | rule | of | asks for | when met | when not met | source |",
                "|---|---|---|---|---|---|---|",
            ]
            lines += [_criterion_row(rule) for rule in table.criteria]
        for category in table.categories:
            lines += ["", f"### {category.title}", "", f"`{category.id}`, of each {category.scope}. {category.source}."]
            lines += ["", "The first that holds:", "", "| answer | asks for |", "|---|---|"]
            lines += [f"| {choice.title} | {_code(rule_text(choice.rule))} |" for choice in category.choices]
        if table.unsupported:
            lines += ["", "Named and not supported:", ""]
            lines += [f"- {title}: {reason}." for title, reason in table.unsupported]
        if table.conflicts:
            lines += ["", "Where the sources disagree, printed in every report:", ""]
            lines += [f"- {conflict}" for conflict in table.conflicts]
    return "\n".join(lines) + "\n"


def _criterion_row(rule: Criterion) -> str:
    sources = dict.fromkeys([rule.source, *(t.source for t in rule_thresholds(rule.rule))])
    asks = _code(rule_text(rule.rule))
    if rule.only_with:
        asks += f"; only with {', '.join(_code(item) for item in rule.only_with)}"
    cells = (
        _code(rule.id),
        rule.title,
        rule.scope,
        asks,
        rule.when_met,
        rule.when_not_met,
        "; ".join(filter(None, sources)),
    )
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    return f"`{text}`"


def clinical_items() -> str:
    """``clinical-items.md``."""
    words = vocabulary()
    lines = ["# Clinical items", NOTE, "What the [clinical file](clinical-file.md) may hold. Every item is optional."]
    headings = {"number": "Numbers", "word": "Words", "date": "Dates", "days": "Days, given or counted from dates"}
    for kind, heading in headings.items():
        lines += ["", f"## {heading}", "", "| item | meaning | may be | obtained by |", "|---|---|---|---|"]
        for item in words.items.values():
            if item.kind == kind:
                meaning = f"{item.title}. {item.meaning}"
                lines.append(f"| `{item.key}` | {meaning} | {_may_be(item)} | {item.settled_by} |")
    lines += ["", "## Where a lesion lies", "", '`[lesion_site]` with one line per lesion, such as `L2 = "lung"`: ']
    lines[-1] += f"{', '.join(lesion_sites())}."
    lines += ["", "## Scores, computed from items"]
    for score in words.scores.values():
        lines += ["", f"### {score.title}", "", f"`{score.name}`. {score.source}.", "", "| item | adds |", "|---|---|"]
        lines += [f"| `{part.item}` | {_adds(part)} |" for part in score.parts]
    return "\n".join(lines) + "\n"


def _may_be(item: ClinicalItem) -> str:
    if item.kind == "word":
        return ", ".join(_code(word) for word in (*item.words, "unknown"))
    if item.kind == "date":
        return "a date: 2026-11-21"
    text = item.unit if item.unit != "1" else ""
    if item.plausible is not None and item.kind == "number":
        text = f"{item.plausible[0]:,.6g} to {item.plausible[1]:,.10g} {text}".strip()
    also = ", ".join(f"`{key}` (times {factor:g})" for key, factor in item.also.items())
    between = f"from `{item.between[0]}` to `{item.between[1]}`" if item.between else ""
    return "; ".join(filter(None, (text, f"or {also}" if also else "", between)))


def _adds(part: ScorePart) -> str:
    if not part.steps:
        return f"{part.times:g} times {'its decimal logarithm' if part.log10 else 'its number'}"
    said = []
    for step in part.steps:
        if step.words:
            said.append(f"{' or '.join(step.words)}: {step.points:g}")
        elif step.threshold is not None:
            said.append(
                f"{step.operator} {step.threshold.value:g} {step.threshold.unit}: {step.points:g}".replace(" 1:", ":")
            )
        else:
            said.append(f"else: {step.points:g}")
    return ", ".join(said)
