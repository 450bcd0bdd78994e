"""What a log holds, in other forms: for Foxglove, for ROS, as tables, as a film.

Each module writes one form from a ``Part``, the messages of a log one by one, so that memory does not grow
with the log. A mapping is a table of plain functions: one message in, one of the other world's out.
"""
