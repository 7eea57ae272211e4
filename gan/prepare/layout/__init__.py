"""What a source's folders and label files mean: halves, labels, and what is set aside."""
