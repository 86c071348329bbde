"""Where the Couinaud segments lie in a liver, from its shape alone: fitted to label maps in which people drew them.

Each segment gets a quadratic function of a place's standardised coordinates; the largest wins, and their softmax
says how sure that is. Run ``python -m liverimg.training.anatomy.segment_prior --help``.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from liverimg.measure.segments import SEGMENTS, quadratic, standardised
from liverimg.training.anatomy.bodies import read_standard
from liverimg.training.anatomy.maps import is_held_out, liver_files

FloatArray = NDArray[np.float64]

_SPACING_MM = 2.5
_POINTS = 3000
_ROUNDS = 200
_PENALTY = 1e-4
_DECIMALS = 3
_log = logging.getLogger(__name__)


def segment_points(path: Path, *, rng: np.random.Generator) -> tuple[FloatArray, NDArray[np.int64]]:
    """Random places of one liver, standardised, shape (n, 3), and their segments, 1 to 8."""
    labels, spacing_mm = read_standard(path)
    steps = np.maximum(1, np.round(_SPACING_MM / spacing_mm)).astype(int)
    thin = labels[:: steps[0], :: steps[1], :: steps[2]]
    index = np.argwhere(thin > 0)
    points = (index * steps * spacing_mm)[:, ::-1]
    chosen = rng.choice(len(index), min(_POINTS, len(index)), replace=False)
    places = standardised(points, points.mean(axis=0), points.std(axis=0))
    return places[chosen], thin[tuple(index[chosen].T)].astype(np.int64)


def fit(places: FloatArray, segments: NDArray[np.int64]) -> FloatArray:
    """Weights of the quadratic functions, shape (10, 8), by multinomial logistic regression."""
    features = torch.tensor(quadratic(places), dtype=torch.float32)
    wanted = torch.tensor(segments - 1)
    weights = torch.zeros(features.shape[1], len(SEGMENTS), requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=_ROUNDS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        value = torch.nn.functional.cross_entropy(features @ weights, wanted) + _PENALTY * (weights**2).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    found = weights.detach().numpy().astype(np.float64)
    # Only differences count.
    return np.asarray(np.round(found - found.mean(axis=1, keepdims=True), _DECIMALS))


def main() -> None:
    """Fits on all label maps with segments but those held out, and prints the rows of ``measure.toml``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--label-maps", type=Path, required=True, help="folder with index.csv and couinaud/")
    parser.add_argument("--folds", type=int, default=0, help="leave every n-th case out, n-th by n-th; 0 for none")
    parser.add_argument("--fold", type=int, default=0, help="which of them to leave out")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    rng = np.random.default_rng(0)
    files = {c: p for c, p in liver_files(options.label_maps).items() if p.parent.name == "couinaud"}
    cases = [case for case in files if not is_held_out(case)]
    if options.folds:
        cases = [case for n, case in enumerate(cases) if n % options.folds != options.fold]
    parts = [segment_points(files[case], rng=rng) for case in cases]
    weights = fit(np.concatenate([p for p, _ in parts]), np.concatenate([s for _, s in parts]))
    rows = "\n".join(f"  {[float(w) for w in column]}," for column in weights.T)
    _log.info("# %d livers\nweights = [\n%s\n]", len(cases), rows)


if __name__ == "__main__":
    main()
