"""Keys and signatures of the bridge."""
