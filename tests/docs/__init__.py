"""What the texts say is what the library does."""
