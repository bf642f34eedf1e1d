"""The demo: one night of a real installation, on the embedded AWS, in some seconds.

It stands beside the house and uses all of it: the real template, the real deploy, the real Lambda.
"""
