"""In-memory stand-ins for the windows of ``ports``, held to the same contract as the real ones."""
