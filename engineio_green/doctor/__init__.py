"""The doctor: visits a deployment as its clients do and says in plain words what it gets, and what to change.

`command.py` is the command line, `findings.py` what is said and how, `wire.py` the visits, `checks.py` and `silence.py` what
is examined over the wire, `program.py` the examination of a `module:app`, for which `inside.py` runs in a process of its own.
Nothing of the library imports the doctor, and it asks nothing of a server but what every Engine.IO client may ask.
"""
