"""RFC 6455 over a non-blocking socket. Knows nothing of sessions or packets."""
