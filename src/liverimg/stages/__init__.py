"""One verb a file: the only floor, with training, where crafts meet."""
