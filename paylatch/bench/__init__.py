"""The benchmark of the whole system: what one machine carries, and how far that is from what it could carry."""
