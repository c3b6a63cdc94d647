"""gunicorn's workers, each as a real process: what its contract asks for, and how they take leave of their clients."""
