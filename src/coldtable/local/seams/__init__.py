"""Where we reach into ministack 1.5.33.

One module per subject; ``selfcheck`` proves each at start.
"""
