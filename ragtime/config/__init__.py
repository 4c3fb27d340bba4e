"""Settings: one object that drives everything, see ``ragtime.config.settings``."""
