"""What lenders say and are told, whichever way they come in: over HTTP, over MQTT, or in a file."""
