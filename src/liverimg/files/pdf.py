"""A page as PDF, printed by a headless Chromium where there is one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from liverimg.core.errors import LiverimgError

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_VERSION_S: Final = 30
_DATE: Final = re.compile(rb"\(D:\d{14}([+\-Z][0-9']*)\)")
# A page of our own needs neither the network nor 3-D to be printed: what turns and moves is hidden on paper.
_OPTIONS: Final = (
    "--headless", "--disable-gpu", "--no-first-run", "--disable-extensions", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-default-apps", "--no-pdf-header-footer",
    "--disable-3d-apis", "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip


class NotPrintedError(LiverimgError):
    """The browser gave no PDF; what else there is to publish goes out without it."""


@dataclass(frozen=True)
class Browser:
    """A Chromium of this machine.

    Attributes:
        program: Where it is.
        version: What it says of itself; the same version prints the same pages.
    """

    program: Path
    version: str


def find_browser(environment: Mapping[str, str] = os.environ) -> Browser | None:
    """A Chromium or Chrome: the one that ``LIVERIMG_CHROMIUM`` names, else the first on the path; None without any."""
    given = environment.get("LIVERIMG_CHROMIUM", "")
    for name in (given,) if given else _NAMES:
        found = shutil.which(name)
        if found is None:
            continue
        try:
            said = subprocess.run([found, "--version"], capture_output=True, timeout=_VERSION_S, check=True)
        except (OSError, subprocess.SubprocessError):
            continue
        return Browser(Path(found), said.stdout.decode("utf-8", "replace").strip())
    return None


def print_page(page: Path, browser: Browser, *, timeout_s: float, moment: str) -> bytes:
    """Prints a page.

    Args:
        page: An HTML file that needs nothing else.
        browser: From :func:`find_browser`.
        timeout_s: How long it may take.
        moment: ``YYYYMMDDHHMMSS`` to write into the file as its date, so that the same page gives the same file.

    Raises:
        NotPrintedError: The browser failed, took too long, or wrote no PDF.
    """
    with TemporaryDirectory(prefix="liverimg-print-") as folder:
        made = Path(folder) / "page.pdf"
        # As root there is no sandbox to be had; anyone else keeps it.
        alone = ["--no-sandbox"] if os.geteuid() == 0 else []
        command = [
            str(browser.program), *_OPTIONS, *alone, f"--user-data-dir={folder}/profile", f"--print-to-pdf={made}",
            page.resolve().as_uri(),
        ]  # fmt: skip
        try:
            subprocess.run(command, capture_output=True, timeout=timeout_s, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise NotPrintedError(
                f"{browser.program.name} did not print the report ({type(error).__name__}); print report.html from a "
                "browser instead"
            ) from error
        pdf = made.read_bytes() if made.is_file() else b""
    if not pdf.startswith(b"%PDF-"):
        raise NotPrintedError(f"{browser.program.name} wrote no PDF; print report.html from a browser instead")
    # Of the same length, so that the table of offsets at the end stays true.
    return _DATE.sub(lambda found: b"(D:" + moment.encode("ascii")[:14].ljust(14, b"0") + found[1] + b")", pdf)
