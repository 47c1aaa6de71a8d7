"""The programs in docs/examples, as processes of their own."""
