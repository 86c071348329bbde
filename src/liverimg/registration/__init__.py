"""How one image is brought onto another: sampling on a grid, and translations found from the images."""
