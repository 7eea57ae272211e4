"""What people open: the page, its plots, the model card."""
