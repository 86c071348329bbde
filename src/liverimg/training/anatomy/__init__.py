"""Training maps: real livers in bodies, with vessel trees grown in them."""
