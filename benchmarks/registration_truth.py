"""Registration of studies before and after ablation held against known motions, beside libraries in the same run.

    python benchmarks/registration_truth.py [--bodies 100 114] [--pairs 2] [--peers 4] [--real ct_ircadb01] [--mr]
    python benchmarks/registration_truth.py --fit          # the constants of the error's bound, on bodies of its own

Pairs: benchmarks/registration_pairs.py says what they are. Error of a lesion: root mean square, over points on the
tumour's surface, of the distance between where the found motion and where the true one puts them; the greatest over
the points beside it. Peers get our own start (livers' outlines), the livers' masks and the same treated region to leave
out, and a rigid motion is fitted to their field over the tumour's surface, as ours is ("deformation frozen").
A real liver (``--real``, a folder with ``dicom`` and ``liver.nii.gz``) gives its odd slices to the first look and its
even ones to the second, so that noise differs; it is warped by the same kind of motion, a dark zone painted into it.
"""

from __future__ import annotations

import argparse
import json
import pickle
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from liverimg.core.alignment import Alignment
from liverimg.core.motion import RigidMotion
from liverimg.core.study import Modality
from liverimg.files.tables import read_table
from liverimg.registration.align import AlignRules, align
from liverimg.registration.rigid import rigid_through
from registration_bodies import Body, draw_body
from registration_margins import margin_row
from registration_pairs import Pair, draw_pair
from registration_peers import PEERS, own_parts
from registration_real import real_body

FIT_BODIES = (0, 12)
_SMALL_MM = 5.0  # radius; on slices of 5 mm such a tumour is seen in two at most


def body_of(seed: int, kept: Path | None, modality: Modality = Modality.CT) -> Body | None:
    """A made person, from a folder where it was kept before if there is one: drawing takes ten seconds."""
    path = None if kept is None else kept / f"{seed}{'' if modality is Modality.CT else '_mr'}.pkl"
    if path is None or not path.is_file():
        body = draw_body(seed, modality)
        if path is not None and body is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pickle.dumps(vars(body)))
        return body
    row = pickle.loads(path.read_bytes())
    return Body(**row | {"images": {name: np.asarray(v, dtype=np.float32) for name, v in row["images"].items()}})


def registered(pair: Pair, rules: AlignRules) -> tuple[Alignment, float]:
    """Our alignment and its processor seconds."""
    began = time.process_time()
    found = align(
        pair.earlier,
        pair.later,
        liver_earlier=pair.liver_earlier,
        liver_later=pair.liver_later,
        lesions=pair.tumours,
        rules=rules,
    )
    return found, time.process_time() - began


def errors_of(pair: Pair, name: str, motion: RigidMotion) -> tuple[float, float]:
    """Root mean square and greatest error over a tumour's surface, in mm."""
    points = pair.surfaces[name]
    off = np.linalg.norm(motion.apply(points) - pair.truth(points), axis=1)
    return float(np.sqrt(np.square(off).mean())), float(off.max())


def rows_of(pair: Pair, rules: AlignRules, *, peers: bool) -> list[dict]:
    """One row a lesion."""
    found, seconds = registered(pair, rules)
    pieces = _pieces_in_bound(pair, found)
    others = {}
    if peers:
        start, region = own_parts(pair, rules)
        for name, peer in PEERS.items():
            began = time.process_time()
            others[name] = (peer(pair, start, region), time.process_time() - began)
    rows = []
    for place in found.lesions:
        row = dict(pair.facts) | {"lesion": place.name, "seconds": seconds, "reason": place.reason, **pieces}
        if place.motion is not None:
            row["rms"], row["most"] = errors_of(pair, place.name, place.motion)
            row["bound"] = place.error_mm
            row |= margin_row(pair, place)
        if found.liver.motion is not None:
            row["liver_rms"] = errors_of(pair, place.name, found.liver.motion)[0]
        for name, (field, spent) in others.items():
            points = pair.surfaces[place.name]
            row[f"{name}_seconds"] = spent
            if field is not None:
                frozen = rigid_through(points, field(points), np.ones(len(points)))
                row[f"{name}_rms"] = errors_of(pair, place.name, frozen)[0]
        rows.append(row)
    return rows


def _pieces_in_bound(pair: Pair, found: Alignment) -> dict:
    """Share of the map's pieces where the true error lies in the stated one, and the median of both."""
    if found.pieces is None:
        return {}
    kept = found.pieces.agrees
    off = np.linalg.norm(found.pieces.moved_lps_mm - pair.truth(found.pieces.places_lps_mm), axis=1)[kept]
    bound = found.pieces.error_mm[kept]
    return {
        "map_held": float((off <= bound).mean()),
        "map_error": float(np.median(off)),
        "map_bound": float(np.median(bound)),
    }


def print_rows(title: str, rows: list[dict]) -> None:
    known = [r for r in rows if "rms" in r]
    print(f"\n{title}: {len(rows)} lesions, {len(rows) - len(known)} without a motion")
    for row in rows:
        if "rms" not in row:
            print(f"  none: {row['lesion']}: {row['reason']}")
    if not known:
        return
    _line("all", known)
    for name, keep in (
        ("portal venous to portal venous", lambda r: r["after"] in ("portal_venous", "second")),
        ("to another phase", lambda r: r["after"] not in ("portal_venous", "second", "fluid")),
        ("ascites afterwards", lambda r: r["after"] == "fluid"),
        ("zone shrunk", lambda r: r["shrink"] > 0),
        ("few vessels", lambda r: r["few_vessels"]),
        ("a slice of 5 mm", lambda r: max(r["slices_mm"]) >= 5),
    ):
        own = [r for r in known if keep(r)]
        if own:
            _line(name, own)
    least = [r["liver_rms"] for r in known]
    print(
        f"  one rigid motion for the whole liver: median {np.median(least):.2f}, "
        f"95 % within {np.percentile(least, 95):.2f} mm"
    )
    held, error, bound = (np.mean([r[k] for r in known]) for k in ("map_held", "map_error", "map_bound"))
    print(
        f"  map over the liver: bound holds {held:.1%} of places; median error {error:.2f}, median bound {bound:.2f} mm"
    )
    _margins("smallest margin", known, "margin_true")
    small = [r["radius_mm"] < _SMALL_MM for r in known]
    for name, keep in ((f"tumours of {2 * _SMALL_MM:.0f} mm and more", False), ("smaller tumours", True)):
        own = [r for r, is_small in zip(known, small, strict=True) if is_small is keep]
        if own:
            _margins(f"the same of {name}", own, "margin_true")
    shrunk = [r for r in known if r["shrink"] > 0]
    if shrunk:
        _margins("the same of shrunk zones", shrunk, "margin_true")
        _margins("the same against the margin before they shrank", shrunk, "margin_before_shrinking")
    print(f"  processor time: {np.mean([r['seconds'] for r in known]):.1f} s a pair")


def _margins(name: str, rows: list[dict], truth: str) -> None:
    off = np.array([r["margin"] - r[truth] for r in rows])
    held = np.mean([r["margin_low"] <= r[truth] <= r["margin_high"] for r in rows])
    half = np.median([r["margin_high"] - r["margin"] for r in rows])
    print(
        f"  {name}: n {len(rows)}, error median {np.median(off):+.2f}, "
        f"size 95 % within {np.percentile(np.abs(off), 95):.2f} mm; "
        f"in the band {held:.1%} (half width: median {half:.2f} mm)"
    )


def _line(name: str, rows: list[dict]) -> None:
    rms, most, bound = (np.array([r[k] for r in rows]) for k in ("rms", "most", "bound"))
    print(
        f"  {name:32} n {len(rows):3d}  error median {np.median(rms):.2f}, 95 % within {np.percentile(rms, 95):.2f}, "
        f"worst {rms.max():.2f}; worst point median {np.median(most):.2f}, 95 % {np.percentile(most, 95):.2f}; "
        f"in the bound {np.mean(rms <= bound):.1%} (bound: median {np.median(bound):.2f} mm)"
    )


def print_peers(rows: list[dict]) -> None:
    own = [r for r in rows if any(f"{name}_seconds" in r for name in PEERS)]
    if not own:
        return
    print(f"\nbeside libraries on {len(own)} lesions (median error, 95 %, processor seconds a pair)")
    for name in ("", *PEERS):
        prefix = f"{name}_" if name else ""
        known = [r[f"{prefix}rms"] for r in own if f"{prefix}rms" in r]
        spent = np.mean([r[f"{prefix}seconds"] for r in own])
        if known:
            print(
                f"  {name or 'here':36} {np.median(known):.2f}  {np.percentile(known, 95):.2f}  "
                f"{spent:6.1f} s  n {len(known)}"
            )
        else:
            print(f"  {name:36} no result (not installed, or it failed)")


def failures(bodies: list[Body], rules: AlignRules) -> None:
    """Pairs that must not be believed: what is said of each."""
    print("\nfailures")
    pairs = [draw_pair(body, (n, 5)) for n, body in enumerate(bodies[:4])]
    wrong = [
        ("another patient's liver", replace(a, later=b.later, liver_later=b.liver_later))
        for a, b in zip(pairs, pairs[1:] + pairs[:1], strict=True)
    ]
    wrong += [("upside down", _flipped(p)) for p in pairs[:2]]
    wrong += [("left and right exchanged", _flipped(p, axis=2)) for p in pairs[:2]]
    wrong += [("a quarter of the liver in view", _cut_off(p)) for p in pairs[:2]]
    said = 0
    for name, pair in wrong:
        found, _ = registered(pair, rules)
        motions = [m for m in found.lesions if m.motion is not None]
        said += not motions
        print(f"  {name:32} {'said: ' + found.lesions[0].reason if not motions else 'NOT SAID'}")
    print(f"  said in {said} of {len(wrong)}")


def _flipped(pair: Pair, axis: int = 0) -> Pair:
    """Voxels turned over under an unchanged header."""
    later = replace(pair.later, array=np.flip(pair.later.array, axis))
    return replace(pair, later=later, liver_later=np.flip(pair.liver_later, axis))


def _cut_off(pair: Pair) -> Pair:
    rows = np.flatnonzero(pair.liver_later.any(axis=(1, 2)))
    last = int(rows[0] + 0.25 * (rows[-1] - rows[0]))
    grid = pair.later.grid.cropped((0, 0, 0), (last, *pair.later.array.shape[1:]))
    return replace(
        pair, later=replace(pair.later, array=pair.later.array[:last], grid=grid), liver_later=pair.liver_later[:last]
    )


def fit(rules: AlignRules, kept: Path | None) -> None:
    """The share of the bound that is added to what the pieces say, and the factor on both."""
    free = replace(
        rules, judgement=replace(rules.judgement, error_factor=1.0, floor_mm=0.0, least_error_mm=0.0, most_error_mm=1e3)
    )
    rows = []
    for seed in range(*FIT_BODIES):
        body = body_of(seed, kept)
        for n in range(2 if body else 0):
            rows += rows_of(draw_pair(body, (seed, n, 77)), free, peers=False)
    rms, expected = (np.array([r[k] for r in rows if "rms" in r]) for k in ("rms", "bound"))
    for floor in (0.0, 0.2, 0.3, 0.4, 0.5):
        factor = np.percentile(rms / np.hypot(expected, floor), 95)
        print(
            f"floor {floor:.1f}: factor {factor:.2f}, "
            f"median bound {factor * np.median(np.hypot(expected, floor)):.2f} mm"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", type=int, nargs=2, default=(100, 114))
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--peers", type=int, default=4, help="bodies on which libraries run too")
    parser.add_argument("--real", type=Path)
    parser.add_argument("--pairs-real", type=int, default=8)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keep", type=Path, help="folder in which made bodies are kept for the next run")
    parser.add_argument("--mr", action="store_true", help="MR contrasts instead of CT's, for the made people")
    parser.add_argument("--fit", action="store_true")
    given = parser.parse_args()
    rules = AlignRules.from_table(read_table("registration"))
    if given.fit:
        fit(rules, given.keep)
        return
    rows, bodies = [], []
    for seed in range(*given.bodies):
        body = body_of(seed, given.keep, Modality.MR if given.mr else Modality.CT)
        if body is None:
            continue
        for n in range(given.pairs):
            rows += rows_of(draw_pair(body, (seed, n, 77)), rules, peers=n == 0 and len(bodies) < given.peers)
            if given.out:
                given.out.write_text(json.dumps({"made": rows}, indent=1))
        if len(bodies) < 4:
            bodies.append(body)
    print_rows("made people", rows)
    print_peers(rows)
    failures(bodies, rules)
    real = []
    if given.real is None:
        print("\nreal liver: left out, no --real was given")
    else:
        body = real_body(given.real)
        for n in range(given.pairs_real):
            real += rows_of(draw_pair(body, (n, 3)), rules, peers=n < given.peers // 2)
        print_rows("a real liver, warped", real)
        print_peers(real)
    if given.out:
        given.out.write_text(json.dumps({"made": rows, "real": real}, indent=1))


if __name__ == "__main__":
    main()
