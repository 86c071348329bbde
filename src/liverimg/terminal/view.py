"""What ``liverimg view`` says while it serves."""

from __future__ import annotations

import json
import sys
import threading
import webbrowser


def say_served(address: str, *, open_browser: bool, as_json: bool) -> None:
    """Names the address, and opens it where that is wanted."""
    words = json.dumps({"address": address}) if as_json else f"{address}\nserved to this machine only; Ctrl-C ends it"
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()
    if open_browser and not webbrowser.open(address):
        sys.stderr.write("no browser could be opened: copy the address into one\n")


def wait() -> None:
    """Returns after Ctrl-C."""
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        sys.stderr.write("\n")
