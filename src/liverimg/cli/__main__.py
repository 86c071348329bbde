"""``python -m liverimg.cli``: the same as ``liverimg``."""

from liverimg.cli.program import main

if __name__ == "__main__":
    main()
