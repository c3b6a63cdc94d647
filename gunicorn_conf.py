"""gunicorn's settings for an engineio_green server: ``gunicorn -c gunicorn_conf.py -k eventlet module:app``.

The same as ``-c python:engineio_green.gunicorn_conf``: one worker, threads unless ``-k`` says otherwise, ``-k eventlet`` on
every version of gunicorn, and a drain before a worker ends. To be copied beside an application as ``gunicorn.conf.py``,
which gunicorn finds by itself; what differs there goes below the import, and the command line wins over both.
"""

# All settings, each with its reason, stand in the package, so that they change with it.
from engineio_green.gunicorn_conf import *  # noqa: F403
