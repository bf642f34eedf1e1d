"""How hard the properties are looked at."""

from hypothesis import settings

# For a second Python: the properties were searched on the first one, and here only the language
# can make a difference.
settings.register_profile("again", max_examples=20)
