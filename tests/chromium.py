"""A headless Chromium for tests: pages opened, looked at and pressed, and every address that they ask for written down.

It is spoken to by the DevTools protocol over two pipes, so that no port is opened and no package is needed.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

# WebGL by software: what a page draws is the same on every machine. No name is resolved but the machine's own.
_OPTIONS = (
    "--headless", "--remote-debugging-pipe", "--no-first-run", "--disable-extensions", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--mute-audio",
    "--hide-scrollbars", "--force-color-profile=srgb", "--use-gl=angle", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)  # fmt: skip
# The browser expects its pipes at these two places.
_START = "import os, sys; [os.dup2(int(sys.argv[n]), n + 2) for n in (1, 2)]; os.execv(sys.argv[3], sys.argv[3:])"
_HERE = ("file:", "data:", "blob:", "about:", "chrome:", "devtools:")
# A busy machine draws slowly; what is wrong is wrong at once.
_PATIENCE_S = 900
_HIGH_FD = 20
_BLOCK = 1 << 20


class BrowserError(AssertionError):
    """The browser said no, or nothing in time."""


def find_chromium() -> str:
    """The browser's program; the test is skipped where there is none."""
    found = os.environ.get("LIVERIMG_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this machine: pages can't be looked at")
    return found


def _is_complaint(entry: dict[str, Any]) -> bool:
    """An error or a warning; advice on how to draw faster is none."""
    return entry["level"] in ("error", "warning") and entry["source"] != "rendering"


class Browser:
    """One Chromium, spoken to through a pair of pipes."""

    def __init__(self, process: subprocess.Popen[bytes], *, reads: int, writes: int) -> None:
        self._process, self._reads, self._writes = process, reads, writes
        self._waiting = bytearray()
        self._looked = 0
        self._count = 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, *, within_s: float = _PATIENCE_S, **given: Any) -> Any:
        """Sends one command and returns what it answers."""
        self._count += 1
        number = self._count
        message = {"id": number, "method": method, "params": given} | ({"sessionId": session} if session else {})
        os.write(self._writes, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + within_s
        while True:
            answer = self._next(end)
            if answer is None:
                raise BrowserError(f"{method}: no answer in {within_s:g} s")
            if answer.get("id") != number:
                self.events.append(answer)
                continue
            if "error" in answer:
                raise BrowserError(f"{method}: {answer['error']}")
            return answer["result"]

    def listen(self, until: Callable[[dict[str, Any]], bool], *, within_s: float = _PATIENCE_S) -> dict[str, Any]:
        """Waits for an event; what comes before it is kept as well."""
        end = time.monotonic() + within_s
        for event in self.events:
            if until(event):
                return event
        while (event := self._next(end)) is not None:
            self.events.append(event)
            if until(event):
                return event
        raise BrowserError(f"nothing of the kind was heard in {within_s:g} s")

    def _next(self, end: float) -> dict[str, Any] | None:
        while (found := self._waiting.find(0, self._looked)) < 0:
            self._looked = len(self._waiting)
            ready, _, _ = select.select([self._reads], [], [], max(end - time.monotonic(), 0))
            if not ready:
                return None
            more = os.read(self._reads, _BLOCK)
            if not more:
                raise BrowserError("the browser has gone")
            self._waiting += more
        answer: dict[str, Any] = json.loads(self._waiting[:found])
        del self._waiting[: found + 1]
        self._looked = 0
        return answer

    def open(self, address: str, *, width: int = 1280, height: int = 900, dark: bool = False, **how: Any) -> Page:
        """Opens a page in a tab of its own and waits until it is loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, target)
        for domain in ("Page", "Runtime", "Log"):
            page.call(f"{domain}.enable")
        # What a page sends may be megabytes; where it sends it is enough to know.
        page.call("Network.enable", maxPostDataSize=0)
        page.size(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.call("Emulation.setEmulatedMedia", features=[scheme], **how)
        page.go(address)
        return page


class Page:
    """One tab."""

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self.browser, self.session, self.target = browser, session, target

    def call(self, method: str, **given: Any) -> Any:
        """One command to this tab."""
        return self.browser.call(method, self.session, **given)

    def size(self, width: int, height: int) -> None:
        """Gives the window a size in CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def go(self, address: str) -> None:
        """Leads the tab to an address and waits for its load event."""
        self.browser.events = [e for e in self.browser.events if e.get("method") != "Page.loadEventFired"]
        self.call("Page.navigate", url=address)
        self.heard("Page.loadEventFired")

    def heard(self, method: str) -> dict[str, Any]:
        """The first event of that name in this tab."""
        return self.browser.listen(lambda e: e.get("method") == method and e.get("sessionId") == self.session)

    def ask(self, script: str) -> Any:
        """What a script gives; promises are waited for.

        Raises:
            BrowserError: It throws.
        """
        how = {"awaitPromise": True, "returnByValue": True, "allowUnsafeEvalBlockedByCSP": False}
        said = self.call("Runtime.evaluate", expression=script, **how)
        if "exceptionDetails" in said:
            raise BrowserError(f"{script}: {said['exceptionDetails'].get('exception', said['exceptionDetails'])}")
        return said["result"].get("value")

    def wait_for(self, script: str, *, within_s: float = _PATIENCE_S) -> None:
        """Returns when a script gives something true.

        Raises:
            BrowserError: It does not in time.
        """
        end = time.monotonic() + within_s
        while not self.ask(script):
            if time.monotonic() > end:
                raise BrowserError(f"{script} did not come true; the page says: {self.complaints()}")
            time.sleep(0.1)

    def press(self, key: str, *, code: str = "", modifiers: int = 0) -> None:
        """Presses a key and lets it go."""
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        same = {"key": key, "code": code or key, "modifiers": modifiers}
        self.call("Input.dispatchKeyEvent", type="keyDown", **same, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **same)

    def picture(self, path: Path, *, whole: bool = False) -> Path:
        """Writes a screenshot: of the window, or of the whole page."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))
        return path

    def asked_for(self) -> list[str]:
        """Every address that the tab asked for, whether or not it was let."""
        return [
            event["params"]["request"]["url"]
            for event in self.browser.events
            if event.get("method") == "Network.requestWillBeSent" and event.get("sessionId") == self.session
        ]

    def asked_elsewhere(self, *allowed: str) -> list[str]:
        """Addresses that are neither in the page, nor on this machine as far as ``allowed`` says."""
        return [url for url in self.asked_for() if not url.startswith((*_HERE, *allowed))]

    def complaints(self) -> list[str]:
        """What the browser wrote into its console as a warning or an error, the policy's refusals among it."""
        found = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            told = event.get("params", {})
            if event.get("method") == "Log.entryAdded" and _is_complaint(told["entry"]):
                found.append(f"{told['entry']['text']} {told['entry'].get('url', '')}".strip())
            elif event.get("method") == "Runtime.exceptionThrown":
                thrown = told["exceptionDetails"]
                found.append(thrown.get("exception", {}).get("description", thrown["text"]))
            elif event.get("method") == "Runtime.consoleAPICalled" and told["type"] in ("error", "assert"):
                found.append(" ".join(str(a.get("value", a.get("description"))) for a in told["args"]))
        return found

    def close(self) -> None:
        """Closes the tab."""
        self.browser.call("Target.closeTarget", targetId=self.target)


@contextmanager
def chromium(program: str) -> Iterator[Browser]:
    """Starts a browser with an empty profile; it ends with the block."""
    with TemporaryDirectory(prefix="liverimg-chromium-", ignore_cleanup_errors=True) as profile:
        (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, _HIGH_FD) for fd in (theirs_in, theirs_out)]

        alone = ["--no-sandbox"] if os.geteuid() == 0 else []
        process = subprocess.Popen(
            [sys.executable, "-c", _START, *map(str, high), program, *_OPTIONS, *alone, f"--user-data-dir={profile}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=high,
        )
        for fd in (theirs_in, theirs_out, *high):
            os.close(fd)
        browser = Browser(process, reads=ours_in, writes=ours_out)
        try:
            yield browser
            browser.call("Browser.close")
        finally:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(ours_in)
            os.close(ours_out)
