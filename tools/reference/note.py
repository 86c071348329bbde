"""The line that marks a page as written by a program."""

NOTE = "<!-- Written by `python -m tools.reference`; do not edit by hand. -->\n"
