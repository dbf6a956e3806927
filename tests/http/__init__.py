"""The lenders' HTTP interface: the real application and the real store, with and without a network."""
