"""python-socketio and Flask-SocketIO on this package: the oldest and the newest releases, on Redis, and against Node's socket.io.

Everything that imports `socketio` runs in a child process of its own, so that no other test finds `engineio` replaced.
"""
