"""Training: objectives, penalties, augmentation, the step, the loop, the resumable state, processes."""
