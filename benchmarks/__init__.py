"""Benchmarks: each stage against the reference way, on the same structures in the same run."""
