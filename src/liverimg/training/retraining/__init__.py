"""A bundle retrained on labelled images of others, from request to contract."""
