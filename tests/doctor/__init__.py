"""`python -m engineio_green doctor`, in front of real servers of every kind. Behind proxies: tests/proxies."""
