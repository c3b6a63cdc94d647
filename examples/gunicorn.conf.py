"""gunicorn reads this file by itself when it is started in this folder:

    cd examples && gunicorn -k eventlet -w 1 latency:app
"""

# -k eventlet on every version of gunicorn, one worker, a drain before it ends: each line and its reason is in the package.
from engineio_green.gunicorn_conf import *  # noqa: F403
