"""Concurrency models, one class each, on the contract of ``base.py``. They know nothing of sessions or packets."""
