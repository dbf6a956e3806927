"""What the golden files say, one module for each thing the protocol knows."""
