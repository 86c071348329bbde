"""The command ``liverimg view``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from liverimg.cli.answer import JsonOption


def view(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Output folder of a finished 'liverimg pre' or 'post'.")],
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="Port of this machine; 0 takes a free one.")
    ] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Say the address only; open it in a browser of your own.")
    ] = False,
    edit: Annotated[
        bool, typer.Option("--edit", help="Let labels be corrected on the page; without it the study is only shown.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at a study in the browser: images, labels and lesions, in planes and in 3-D; only this machine is served."""
    from liverimg.stages.view import site_of
    from liverimg.terminal.view import say_served, wait
    from liverimg.viewer.server import served

    site = site_of(out, editable=edit)
    with served(site, port) as server:
        say_served(server.address, open_browser=not no_browser, as_json=as_json)
        wait()
