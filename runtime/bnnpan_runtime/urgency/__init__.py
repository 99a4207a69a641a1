"""A run that must end in time: what it does first, and when it stops.

deadline  how much time is left, and how much of it the end of the run will take
priority  which parts of a scene are worth most, from a few samples of MS
"""
