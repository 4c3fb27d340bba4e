"""Settings: one object that drives everything, see :mod:`ragtime.config.settings`."""
