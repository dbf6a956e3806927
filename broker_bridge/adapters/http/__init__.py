"""The lenders' HTTP interface; the only place that knows the web framework."""
