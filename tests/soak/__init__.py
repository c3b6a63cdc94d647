"""An hour of real life in minutes: many clients on a real server, counted. A command, see `__main__.py`; no test of the suite."""
