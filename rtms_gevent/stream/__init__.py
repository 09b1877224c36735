"""One stream: its connections, its life, what of it is missing."""
