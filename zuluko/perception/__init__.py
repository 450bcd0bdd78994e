"""Models and the nodes that run them."""
