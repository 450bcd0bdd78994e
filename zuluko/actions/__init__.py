"""Rules, and the actuators that they command."""
