"""How fast this SDK is, against its peers and against the floor: `python -m benchmarks`."""
