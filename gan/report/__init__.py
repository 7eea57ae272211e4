"""The report page, its plots, and the model card."""
