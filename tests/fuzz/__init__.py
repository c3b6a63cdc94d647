"""Coverage-guided fuzzing of the parsers that take bytes from strangers. A command, see `__main__.py`; no test of the suite."""
