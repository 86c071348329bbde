"""Looks up known vulnerabilities of the pinned versions, and fails where they can't be looked up.

Usage: ``python -m tools.audit``. pip-audit leaves with 0 when the index knows none of the packages, as an index without
advisories does; a package that nobody could look up is not a package without faults.
"""

import json
import subprocess
import sys
from pathlib import Path

_PINS = Path(__file__).resolve().parent.parent / "constraints.txt"


def main() -> int:
    """0 when every pin was looked up and nothing is known, 1 when something is, 2 when it can't be told."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip_audit", "--requirement", str(_PINS), "--no-deps", "--disable-pip"),
            *("--format", "json", "--progress-spinner", "off"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        pins = json.loads(done.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError):
        sys.stderr.write(f"{done.stderr}\nthe advisories can't be asked here; run this where the index has them\n")
        return 2
    faults = [(pin["name"], pin["version"], each["id"]) for pin in pins for each in pin.get("vulns", [])]
    unknown = [pin["name"] for pin in pins if "skip_reason" in pin]
    sys.stdout.writelines(f"{name} {version}: {code}\n" for name, version, code in faults)
    sys.stdout.write(f"{len(pins) - len(unknown)} of {len(pins)} pins looked up, {len(faults)} known faults\n")
    if unknown:
        named = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        sys.stderr.write(f"not looked up, so not known: {named}; ask an index that has advisories\n")
        return 2
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
