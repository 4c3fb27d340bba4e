"""What ragtime tells about itself while it works, see :mod:`ragtime.monitoring.logging`."""
