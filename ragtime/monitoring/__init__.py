"""What ragtime tells about itself while it works, see ``ragtime.monitoring.logging``."""
