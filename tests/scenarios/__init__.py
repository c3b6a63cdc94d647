"""Black-box cases over real sockets, written once, run on every driver and server, each in a fresh process."""
