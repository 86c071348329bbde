"""What the pages tell a reader to type works: commands marked with ``<!-- run -->``, and every Python block.

All commands share one folder and all Python blocks another, as a reader would have it: ``sample_dicom`` as committed,
``demo-out/pre_ct`` as ``make demo`` leaves it (with the sample's exact labels, so that no network has to run). A marked
block holds calls of ``liverimg`` alone, one a line; after a line, ``# exit 3`` says that it leaves by that code.
"""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), *ROOT.glob("models/*/docs/*.md")])
_PYTHON = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
_MARKED = re.compile(r"^<!-- run -->\n+```(?:console|sh)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_EXIT = re.compile(r"#.*\bexit (\d)")


def found(pattern: re.Pattern[str]) -> list[object]:
    """Each block of every page, named by its page."""
    blocks = [(page, block) for page in PAGES for block in pattern.findall(page.read_text(encoding="utf-8"))]
    return [pytest.param(page, block, id=f"{page.relative_to(ROOT)}-{n}") for n, (page, block) in enumerate(blocks)]


Lay = Callable[[], Path]


@pytest.fixture(scope="module")
def lay(tmp_path_factory: pytest.TempPathFactory, sample: Path, assessed: Path) -> Lay:
    """Makes a folder that pages are followed in."""

    def laid() -> Path:
        folder = tmp_path_factory.mktemp("desk")
        (folder / "sample_dicom").symlink_to(sample)
        shutil.copytree(assessed, folder / "demo-out" / "pre_ct")
        return folder

    return laid


@pytest.fixture(scope="module")
def desk(lay: Lay) -> Path:
    """For commands, some of which correct and measure again."""
    return lay()


@pytest.fixture(scope="module")
def python_desk(lay: Lay) -> Path:
    """For Python blocks: what they run is up to date, as no command has changed it."""
    return lay()


def lines(block: str) -> list[str]:
    """Commands of a block, a line that ends in a backslash joined to the next."""
    joined = block.replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ") for line in joined if line.strip() and not line.lstrip().startswith("#")]


@pytest.mark.parametrize(("page", "block"), found(_MARKED))
def test_commands_run(
    page: Path, block: str, desk: Path, liverimg: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk)
    for line in lines(block):
        program, *arguments = shlex.split(line, comments=True)
        assert Path(program).name == "liverimg", f"{page.name}: only liverimg is run here, not {program}"
        said = liverimg(*arguments)
        expected = _EXIT.search(line)
        assert said.code == (int(expected[1]) if expected else 0), f"{page.name}: {line}\n{said.err}"


@pytest.mark.parametrize(("page", "block"), found(_PYTHON))
def test_python_blocks_run(page: Path, block: str, python_desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(python_desk)
    exec(compile(block, str(page), "exec"), {})


def test_something_is_marked() -> None:
    pages = {parameters.values[0].name for parameters in found(_MARKED)}
    assert {"README.md", "first-study.md"} <= pages
