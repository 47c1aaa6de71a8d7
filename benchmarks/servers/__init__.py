"""The programs that are compared, one module for each peer; every one runs in a process of its own."""
