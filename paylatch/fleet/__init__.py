"""A load generator for lenders and engineers: scenarios, played to a fleet of any size, measured and audited."""
