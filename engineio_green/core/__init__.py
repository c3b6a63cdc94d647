"""The pure core: the protocol's rules, once, with no I/O, no clock and no threads. Time comes in as ``now``, in seconds."""
