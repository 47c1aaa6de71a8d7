"""The benchmarks run; what they measure is judged elsewhere."""
