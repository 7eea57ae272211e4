"""The expectations for a manifest, their result, and its page."""
