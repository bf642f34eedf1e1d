"""A door: words on the command line to calls into the hall, and back. No decisions here."""
