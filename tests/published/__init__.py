"""Published applications, unchanged, on this package: installed from PyPI, started with `run`, used in a real browser."""
