"""Files of decisions: where they wait, and how their rows are read."""
