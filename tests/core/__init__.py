"""Tests of the pure core: no sockets, no threads, no sleeps; time is numbers that the test passes in."""
