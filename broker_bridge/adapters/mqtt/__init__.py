"""The broker's side; the only place that knows an MQTT client."""
