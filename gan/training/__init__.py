"""The step, the loop, the resumable state."""
