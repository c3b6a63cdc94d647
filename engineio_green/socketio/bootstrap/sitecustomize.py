"""What Python imports at its start, in a program that ``python -m engineio_green run`` has started.

Lets this package stand in for engineio, then runs the ``sitecustomize`` that would have been found without this one.
"""

import importlib.machinery
import importlib.util
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(_HERE)))


def _install() -> None:
    try:
        from engineio_green.socketio.install import install_if_wanted
    except ImportError:  # the package has been run from a folder that this program does not look into
        sys.path.append(_ROOT)
        from engineio_green.socketio.install import install_if_wanted
    install_if_wanted()


def _run_next() -> None:
    others = [folder for folder in sys.path if os.path.abspath(folder) != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


_install()
_run_next()
