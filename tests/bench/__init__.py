"""The benchmark: this package, the compatible Python implementation and Node's server, measured in one run.

Run it from the repository root with ``python -m tests.bench``; it is no part of the test run.
"""
