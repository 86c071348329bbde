"""A study to look at in a browser of this machine: a page, and a server on the loopback address that gives it away."""
