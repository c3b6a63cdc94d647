"""Applications as people write them, each in a module of its own, for `doctor MODULE:APP`: source by name."""

SERVE = """
import engineio_green
eio = engineio_green.Server(async_mode="{mode}")
app = engineio_green.WSGIApp(eio)
"""

GEVENT_FIRST = "from gevent import monkey; monkey.patch_all()\n"
EVENTLET_FIRST = "import eventlet; eventlet.monkey_patch()\n"

# What else is imported before the patching: a module that keeps what it has got.
KEEPER = "from time import sleep\nfrom socket import create_connection\n"

THREAD_FIRST = """
import threading
threading.Thread(target=threading.Event().wait, args=(60,), name="poller", daemon=True).start()
"""

SOURCES = {
    "threads": SERVE.format(mode="threading"),
    "gevent_first": GEVENT_FIRST + SERVE.format(mode="gevent"),
    "eventlet_first": EVENTLET_FIRST + SERVE.format(mode="eventlet"),
    "gevent_unpatched": SERVE.format(mode="gevent"),
    "gevent_late": "import keeper\n" + GEVENT_FIRST + SERVE.format(mode="gevent"),
    "eventlet_late": "import keeper\n" + EVENTLET_FIRST + SERVE.format(mode="eventlet"),
    "gevent_partial": "from gevent import monkey; monkey.patch_socket()\n" + SERVE.format(mode="gevent"),
    "eventlet_partial": "import eventlet; eventlet.monkey_patch(thread=False)\n" + SERVE.format(mode="eventlet"),
    "gevent_after_thread": THREAD_FIRST + GEVENT_FIRST + SERVE.format(mode="gevent"),
    "patched_for_threads": GEVENT_FIRST + SERVE.format(mode="threading"),
    "both": GEVENT_FIRST + EVENTLET_FIRST + SERVE.format(mode="gevent"),
    "no_server": "def app(environ, start_response): ...\n",
    "broken": "import a_module_that_nobody_has\napp = None\n",
    "serves": "import time\ntime.sleep(60)\n",
    "exits": "import os\nprint('no database')\nos._exit(3)\n",
    "elsewhere": SERVE.format(mode="threading").replace("WSGIApp(eio)", "WSGIApp(eio, engineio_path='/live/socket')"),
    "factory": SERVE.format(mode="threading") + "def create(): return app\n",
    "restricted": SERVE.format(mode="threading").replace('g")', 'g", cors_allowed_origins="https://shop.example")'),
    "keeper": KEEPER,
}
