"""Training and validation data: sensors, degradation, interpolation, pairs and patches."""
