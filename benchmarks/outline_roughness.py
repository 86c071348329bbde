"""How rough a liver's outline is by itself, on the scale of the liver surface nodularity score.

    python benchmarks/outline_roughness.py [--mask NAME=FILE[:VALUES] ...] [--seed 3]

The score (Smith AD et al., Radiology 2016;280:771) is the mean distance between the liver's edge in the image and a
smooth polynomial through it, in tenths of a millimetre, along the front of the liver. Here the same is taken of
outlines that are drawn: a polynomial of fourth order through each 40 mm of the front, in slices of

* made livers, an ellipse with ripples of 6 to 15 mm of known score, drawn by pixel centres: what pixels leave of it;
* masks that are given, for example an expert's and a model's of one scan; ``VALUES`` are the labels to take together
  (``1,2``), any but 0 when left out. Vessels that run in the liver should be among them.

Outlines are the sub-pixel ones that lesions are measured on (:mod:`liverimg.measure.slice_outline`).
"""

import argparse
from pathlib import Path

import numpy as np
import SimpleITK
from scipy.ndimage import binary_fill_holes, label
from skimage.measure import find_contours

from liverimg.measure.slice_outline import slice_distances

STRETCH_MM = 40.0
ORDER = 4
FRONT_DEG = 60.0
RIPPLES_MM = (6.0, 15.0)
SLICES = 10
SCORES = (
    0.0,
    2.3,
    3.2,
)  # none; no or little fibrosis, cirrhosis: mean scores of 191 patients, Duke scholars pub1505153


def score(line_mm, inside_mm):
    """Mean distance (tenths of a mm) of an outline's front from polynomials, and how many mm were read.

    Args:
        line_mm: Closed outline, shape (n, 2): y towards the back, x.
        inside_mm: A place within it.
    """
    step = np.roll(line_mm, -1, axis=0) - np.roll(line_mm, 1, axis=0)
    normal = np.stack([-step[:, 1], step[:, 0]], axis=1)
    normal *= np.sign((normal * (line_mm - inside_mm)).sum())
    angle = np.degrees(np.arctan2(normal[:, 1], -normal[:, 0]))
    angle = np.convolve(np.pad(angle, 5, mode="wrap"), np.ones(11) / 11, mode="valid")
    front = np.abs(angle) <= FRONT_DEG
    if front.all() or not front.any():
        return []
    start = int(np.flatnonzero(~front)[0])
    line, front = np.roll(line_mm, -start, axis=0), np.roll(front, -start)
    parts, count = label(front)
    found = []
    for part in range(1, count + 1):
        run = line[parts == part]
        along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(run, axis=0), axis=1))])
        for first in np.arange(0, along[-1] - STRETCH_MM, STRETCH_MM):
            chosen = run[(along >= first) & (along < first + STRETCH_MM)]
            middle = chosen - chosen.mean(axis=0)
            _, _, axes = np.linalg.svd(middle, full_matrices=False)
            u, v = (middle @ axes.T).T
            u = u / np.abs(u).max()
            found.append(10 * float(np.abs(v - np.polynomial.Polynomial.fit(u, v, ORDER)(u)).mean()))
    return found


def outline(mask, in_plane_mm):
    """The longest sub-pixel outline of a slice in mm."""
    distance, _ = slice_distances(np.pad(mask, 3)[None], np.asarray(in_plane_mm))
    return max(find_contours(distance[0], 0.0), key=len)[:-1] * in_plane_mm


def rippled(rng, wanted):
    """Outline of a made liver with the score that is wanted, and the same as radius by angle."""
    angle = np.linspace(0, 2 * np.pi, 8000, endpoint=False)
    axes = rng.uniform(75, 95), rng.uniform(95, 120)
    smooth = 1 / np.hypot(np.cos(angle) / axes[0], np.sin(angle) / axes[1])
    turns = np.arange(int(2 * np.pi * axes[0] / RIPPLES_MM[1]), int(2 * np.pi * axes[1] / RIPPLES_MM[0]))
    waves = np.cos(turns[:, None] * angle + rng.uniform(0, 2 * np.pi, (len(turns), 1)))
    ripple = (rng.normal(size=(len(turns), 1)) * waves).sum(axis=0)
    size = 0.0
    for _ in range(6):
        radius = smooth + size * ripple
        line = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        here = float(np.mean(score(line, np.zeros(2))))
        if wanted == 0:
            break
        size = size * wanted / here if size else 0.1 * wanted / ripple.std()
    return angle, radius, here


def made(rng, wanted, in_plane_mm):
    """True score of a made liver, and the score of its outline out of pixels."""
    angle, radius, true = rippled(rng, wanted)
    shape = [int(2 * radius.max() / s) + 6 for s in in_plane_mm]
    middle = (np.array(shape) - 1) / 2 + rng.uniform(-0.5, 0.5, 2)
    y, x = (np.arange(n) - m for n, m in zip(shape, middle, strict=True))
    y, x = y[:, None] * in_plane_mm[0], x[None] * in_plane_mm[1]
    held = np.hypot(y, x) <= np.interp(np.mod(np.arctan2(x, y), 2 * np.pi), angle, radius, period=2 * np.pi)
    line = outline(held, in_plane_mm) - (middle + 3) * in_plane_mm
    return true, float(np.mean(score(line, np.zeros(2))))


def of_mask(path, values):
    """Scores of ten slices around the mask's largest one, a few millimetres apart."""
    image = SimpleITK.DICOMOrient(SimpleITK.ReadImage(str(path)), "LPS")
    array = SimpleITK.GetArrayFromImage(image)
    mask = np.isin(array, values) if values else array > 0
    x_mm, y_mm, z_mm = image.GetSpacing()
    largest = int(mask.sum(axis=(1, 2)).argmax())
    found = []
    for n in range(SLICES):
        k = largest + round((n - SLICES // 2) * max(1.0, 5.0 / z_mm))
        if not 0 <= k < len(mask) or not mask[k].any():
            continue
        parts, _ = label(mask[k])
        own = binary_fill_holes(parts == np.bincount(parts.ravel())[1:].argmax() + 1)
        line = outline(own, np.array([y_mm, x_mm]))
        found += score(line, (np.argwhere(own).mean(axis=0) + 3) * [y_mm, x_mm])
    return np.array(found), (y_mm, x_mm, z_mm)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mask", nargs="+", default=[], metavar="NAME=FILE[:VALUES]")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--livers", type=int, default=12)
    chosen = parser.parse_args()
    rng = np.random.default_rng(chosen.seed)
    print("| outline | pixels (mm) | true score | score of the outline | SD |\n|---|---|---|---|---|")
    for pixel in ((0.7, 0.7), (0.8, 0.8), (1.5, 1.5)):
        for wanted in SCORES:
            both = np.array([made(rng, wanted, np.array(pixel)) for _ in range(chosen.livers)])
            true, drawn = both.mean(axis=0)
            print(f"| made | {pixel[0]} | {true:.2f} | {drawn:.2f} | {both[:, 1].std():.2f} |")
    for words in chosen.mask:
        name, _, rest = words.partition("=")
        path, _, values = rest.partition(":")
        found, spacing = of_mask(Path(path), [int(v) for v in values.split(",") if v])
        print(f"| {name} | {spacing[0]:.2f} (slices {spacing[2]:.1f}) | | {found.mean():.2f} | {found.std():.2f} |")


if __name__ == "__main__":
    main()
