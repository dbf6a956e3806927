"""Tests against a real Mosquitto."""
