"""nginx and HAProxy, as examples/ configures them, in front of two real servers. Knows the package from outside only."""
