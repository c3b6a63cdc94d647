"""Beside Django, on plain threads: an ordinary view that pushes to every open page. A whole project in one file.

    python examples/django_app.py
    gunicorn -k gthread -w 1 --threads 8 examples.django_app:app

    curl -d text=hello http://127.0.0.1:5000/notify

In a project of several files the last lines of wsgi.py are the ones from `eio` to `app` below.
"""

import sys
from pathlib import Path

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.http import require_POST

import engineio_green as engineio
from engineio_green.demo import CLIENT_SCRIPT

STATIC = Path(__file__).parent / "static"

# No middleware, so no CSRF check and no sessions: an application of yours has its own settings module instead.
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1", "localhost"], MIDDLEWARE=[], SECRET_KEY="of an example")


@require_POST
def notify(request):
    receivers = list(clients)
    for sid in receivers:
        eio.send(sid, request.POST["text"])
    return JsonResponse({"told": len(receivers)})


urlpatterns = [path("notify", notify)]

eio = engineio.Server(async_mode="threading")
app = engineio.WSGIApp(
    eio, get_wsgi_application(), static_files={"/": str(STATIC / "notify.html"), "/engineio.js": str(CLIENT_SCRIPT)}
)
clients = set()


@eio.on("connect")
def connect(sid, environ):
    clients.add(sid)


@eio.on("disconnect")
def disconnect(sid, reason):
    clients.discard(sid)


@eio.on("message")
def message(sid, data):
    eio.send(sid, data)


if __name__ == "__main__":
    from werkzeug.serving import run_simple

    run_simple("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 5000, app, threaded=True)
