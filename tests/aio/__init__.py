"""Tests of the asyncio layer that are not the same on every server: its applications, its frameworks, its tasks."""
