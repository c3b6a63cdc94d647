"""The asyncio compatibility layer: the same core and the same links, with coroutines where the synchronous server blocks."""
