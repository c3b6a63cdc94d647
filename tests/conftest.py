"""Fixtures that every layer may use. Owns nothing of Engine.IO."""

from __future__ import annotations

import resource
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def _many_descriptors():
    """Thousands of sockets live in some tests, on both sides: children inherit the limit that is raised here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 16384 if hard == resource.RLIM_INFINITY else min(hard, 16384)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key, made for this run only."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.fail("the TLS tests need the openssl command: apt-get install openssl")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name what must stay in one of the processes that share the run: the cases of one server, of one folder, of one file."""
    here = Path(__file__).parent
    for item in items:
        server = getattr(item, "callspec", None) and item.callspec.params.get("server")  # type: ignore[attr-defined]
        item.add_marker(pytest.mark.xdist_group(getattr(server, "name", item.path.relative_to(here).parts[0])))
