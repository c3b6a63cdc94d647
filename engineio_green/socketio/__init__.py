"""What python-socketio and Flask-SocketIO need in order to run on this package, unchanged.

Those packages do ``import engineio``. ``install.py`` makes that name mean this package, ``modules.py`` lists what they find under
it, ``attributes.py`` has the attributes of servers that only they use, ``admin.py`` counts packets for ``sio.instrument()``, and
``command.py`` with ``bootstrap/`` is ``python -m engineio_green run``. A program that imports ``engineio_green`` itself needs
nothing of it.
"""
