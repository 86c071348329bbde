"""What all measurements of a 512 x 512 x 250 study with three tumours cost: processor seconds by part, peak memory.

    python benchmarks/measurement_speed.py [--repeats 3] [--shrink 1] [--depth 2]

The phantom's labels are drawn first (that is not counted). Each part is what ``survey`` calls, in processor time, so
that a busy machine does not count; the sum is the best of the repeats, the parts are of one more run under a profiler,
which adds about a tenth. ``--depth 2`` also shows what the slow parts call.
"""

import argparse
import cProfile
import pstats
import resource
import time

from liverimg.core.labels import LabelQuality
from liverimg.files.tables import read_table
from liverimg.measure.settings import MeasureSettings
from liverimg.measure.survey import survey
from measurement_study import add_shrink, large_study

_PER_GB = 1024**2  # ru_maxrss counts KiB
_WORTH_SHOWING_S = 0.02


def parts_of(stats, caller):
    """Seconds of each function that a function of ours (file ending, name or None) calls, from its own record."""
    found = {}
    for (file, _, name), (_, _, _, _, callers) in stats.items():
        if "liverimg/measure" not in file or file.endswith(caller[0]):
            continue
        for (from_file, _, from_name), numbers in callers.items():
            if from_file.endswith(caller[0]) and caller[1] in (None, from_name):
                words = (file.rsplit("/", 1)[-1], name)
                found[words] = found.get(words, 0.0) + numbers[3]
    return found


def show(stats, parts, depth, indent=2, seen=()):
    for words, seconds in sorted(parts.items(), key=lambda item: -item[1]):
        if seconds < _WORTH_SHOWING_S:
            continue
        print(f"{'':{indent}}{words[0] + ' ' + words[1]:{50 - indent}}{seconds:>8.2f}")
        if depth > 1 and words not in seen:
            show(stats, parts_of(stats, words), depth - 1, indent + 2, (*seen, words))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--depth", type=int, default=1)
    add_shrink(parser)
    chosen = parser.parse_args()
    image, labels = large_study(shrink=chosen.shrink)
    settings = MeasureSettings.from_table(read_table("measure"))
    loaded_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _PER_GB
    quality, seconds, wall = LabelQuality("external"), [], []
    for _ in range(chosen.repeats):
        began, clock = time.process_time(), time.perf_counter()
        found = survey(image, labels, quality, settings=settings)
        seconds.append(time.process_time() - began)
        wall.append(time.perf_counter() - clock)
    profile = cProfile.Profile(time.process_time)
    profile.runcall(survey, image, labels, quality, settings=settings)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _PER_GB
    size = " x ".join(str(n) for n in reversed(labels.grid.shape))
    count = sum(len(lesion.quantities) for lesion in found.lesions) + len(found.organs)
    print(f"{size} voxels, {len(found.lesions)} tumours, {count} quantities")
    print(f"{'all measurements':50}{min(seconds):>8.2f} s of processor time, {min(wall):.2f} s by the clock")
    stats = pstats.Stats(profile).stats
    show(stats, parts_of(stats, ("survey.py", None)), chosen.depth)
    print(f"peak memory {peak_gb:.2f} GB, of which {loaded_gb:.2f} GB before measuring (drawing the phantom)")


if __name__ == "__main__":
    main()
