"""The hall: one file per verb. Observe, plan, apply, report; the world only through ``ports``."""
