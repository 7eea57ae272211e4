"""Measuring samples: features, metrics with their intervals, copies of training images, sampling."""
