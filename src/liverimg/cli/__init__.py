"""The command line: arguments in, exit code out. No logic lives here, and no heavy import."""

from liverimg.cli.program import app, main

__all__ = ["app", "main"]
