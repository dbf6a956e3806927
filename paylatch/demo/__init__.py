"""The main job, shown: a real broker, the bridge and a fleet as separate processes."""
