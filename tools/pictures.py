"""Draws the pictures of the documentation: pages of the synthetic sample, looked at in headless Chromium.

Usage: ``python -m tools.pictures [--work FOLDER]``. The sample is taken through the commands that the tutorial names,
as far as the folder does not hold their results already; then each page is opened and parts of it are kept as WebP.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from tests.chromium import Page, chromium, find_chromium

_ROOT = Path(__file__).resolve().parent.parent
_OUT = _ROOT / "docs" / "pictures"
_SAMPLE = _ROOT / "sample_dicom"
_WIDTH = 1200
_LARGEST_KB = 145
_SETTLED_S, _SCENE_S = 1, 20


@dataclass(frozen=True)
class Picture:
    """One part of a page.

    Attributes:
        name: File name without its ending.
        page: The page, below the working folder.
        part: CSS selector of the element that is shown.
        height: At most so many CSS pixels of it, from its top.
        scene: Whether three-dimensional scenes have to be drawn first.
    """

    name: str
    page: str
    part: str
    height: int = 900
    scene: bool = False


PICTURES = (
    Picture("inspect", "inspect.html", "body", 820),
    Picture("report-head", "pre/report.html", "body", 820),
    Picture("report-summary", "pre/report.html", "#summary", 1100),
    Picture("report-lesion", "pre/report.html", "article.lesion", 1100),
    Picture("report-scene", "pre/report.html", "#view3d", 800, scene=True),
    Picture("response-lesion", "post/response.html", "article.lesion", 1100, scene=True),
)


def commands(work: Path) -> dict[Path, list[str]]:
    """What makes each result: the commands of the tutorial and of the how-to on ablations."""
    pre, post, exact = work / "pre", work / "post", work / "exact"
    truth = _SAMPLE / "truth"
    return {
        work / "inspect.html": ["inspect", str(_SAMPLE / "pre_ct"), "--html", str(work / "inspect.html")],
        pre / "report.html": ["pre", str(_SAMPLE / "pre_ct"), "--out", str(pre)],
        exact / "report.html": [
            *("pre", str(_SAMPLE / "pre_ct"), "--out", str(exact)),
            *("--labels", str(truth / "pre_ct_labels.nii.gz")),
        ],
        post / "response.html": [
            *("post", str(_SAMPLE / "post_ct"), "--baseline", str(exact), "--out", str(post)),
            *("--labels", str(truth / "post_ct_labels.nii.gz"), "--treated-on", "2026-01-12=hifu"),
        ],
    }


def draw(page: Page, picture: Picture) -> Image.Image:
    """The part of a page as the browser shows it."""
    page.size(_WIDTH, picture.height)
    where = f"document.querySelector({picture.part!r})"
    page.ask(f"{where}.scrollIntoView()")
    page.ask(f"new Promise(done => setTimeout(done, {1000 * (_SCENE_S if picture.scene else _SETTLED_S)}))")
    # Parts above may have been laid out only now, so the part is brought to the top once more.
    box = page.ask(
        f"{where}.scrollIntoView(), (b => [b.left, b.top, b.right, b.bottom])({where}.getBoundingClientRect())"
    )
    left, top, right, bottom = (int(v) for v in box)
    with tempfile.TemporaryDirectory() as folder:
        window = Image.open(page.picture(Path(folder) / "page.png")).convert("RGB")
    return window.crop((max(left, 0), max(top, 0), min(right, window.width), min(bottom, window.height)))


def keep(image: Image.Image, path: Path) -> int:
    """Writes a picture as well as it fits; returns its size in KB."""
    for quality in (88, 80, 70, 60, 50):
        image.save(path, "WEBP", quality=quality, method=6)
        if path.stat().st_size <= _LARGEST_KB * 1024:
            break
    return path.stat().st_size // 1024


def main() -> int:
    """Makes what is missing, then draws all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, help="results are kept here and used again; else made anew and removed")
    told = parser.parse_args()
    work = (told.work or Path(tempfile.mkdtemp(prefix="liverimg-pictures-"))).resolve()
    work.mkdir(parents=True, exist_ok=True)
    for result, words in commands(work).items():
        if not result.exists():
            subprocess.run([sys.executable, "-m", "liverimg.cli", *words], check=True)
    _OUT.mkdir(exist_ok=True)
    with chromium(find_chromium()) as browser:
        for picture in PICTURES:
            page = browser.open((work / picture.page).as_uri(), width=_WIDTH, height=1000)
            size_kb = keep(draw(page, picture), _OUT / f"{picture.name}.webp")
            page.close()
            sys.stdout.write(f"{picture.name}: {size_kb} KB\n")
    if told.work is None:
        shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
