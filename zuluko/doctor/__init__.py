"""The doctor: what a board has of all that a graph needs, what is wrong, and the command that mends it."""
