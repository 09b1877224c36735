"""One owner per stream, however many workers there are: stores of ownership, and who routes."""
