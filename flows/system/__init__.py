"""Processes, their environments, the log, and the lock of this machine."""
