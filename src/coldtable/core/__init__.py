"""The study: pure functions over the nouns. No IO; ``now`` is an argument."""
