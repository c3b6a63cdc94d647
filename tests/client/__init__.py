"""The synchronous client against real servers, each in a process of its own."""
