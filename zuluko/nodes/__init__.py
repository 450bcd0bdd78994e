"""Sensor drivers and bridges: one module a node."""
