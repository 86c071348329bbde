"""Writes every generated reference page, and removes those that nothing writes any more.

Usage: ``python -m tools.reference [--check]``; with ``--check`` nothing is written, and stale pages are named.
"""

import argparse
import sys
from pathlib import Path

from tools.reference.pages import differences, pages

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"


def main() -> int:
    """Writes or checks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; leave with 1 when a page is stale")
    stale = differences(REFERENCE)
    if parser.parse_args().check:
        sys.stdout.writelines(f"{name}\n" for name in stale)
        return int(bool(stale))
    made = pages()
    for name in stale:
        path = REFERENCE / name
        if name in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(made[name](), encoding="utf-8")
        else:
            path.unlink()
        sys.stdout.write(f"{name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
