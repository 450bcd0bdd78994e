"""A log's fields over time, in a terminal or as a picture.

However long the log, a line is kept as no more points than can be told apart: see ``zuluko.log_plot.series``.
"""
