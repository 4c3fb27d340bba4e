"""Reaching model servers: address and key, time limits, retries, and every way to fail."""
