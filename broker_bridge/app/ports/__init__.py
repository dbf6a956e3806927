"""What the use cases need from the world, a file for each part of it. Adapters implement these."""
