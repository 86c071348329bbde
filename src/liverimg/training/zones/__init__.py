"""Training the zone network on crops of treated livers that are made on the fly."""
