"""Others' recordings as logs: ROS bags, EuRoC and TUM folders, tables of an IMU.

A source tells which topics it holds and what becomes of each, and then gives their messages in the order in
which they were received, as standard messages. Sources are untrusted: what is wrong with one is a
SourceError.
"""
