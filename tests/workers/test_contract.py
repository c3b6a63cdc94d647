"""What gunicorn asks of a worker, and promises its users of every worker: heartbeats, listeners, TLS, files, hooks."""

from __future__ import annotations

import os
import signal
import socket
import time

from scenarios.client import target_of
from scenarios.servers import free_port
from scenarios.waiting import wait_until
from scenarios.wire import Connection

from .servers import EVENTLET, OWN_MODES, STOCK_MODES, THREADS, Server, each, with_arguments

MEGABYTE = 1 << 20


def check_echo(client):
    """A message by polling, by websocket, and by a session that moves from the first to the second."""
    polling, direct = client.open_polling(), client.open_websocket()
    assert polling.request("a", b"\x01") == ["a", b"\x01"]
    assert direct.request("b", "c" * 100_000) == ["b", "c" * 100_000]
    ws, _ = polling.upgrade()
    ws.send("4d")
    assert ws.receive() == "4d"
    client.close_all()


@each(*OWN_MODES, *STOCK_MODES)
def test_it_serves_all_its_listeners(mode, connect, tmp_path):
    """A second port and a Unix socket, beside the first port."""
    port, path = free_port(), str(tmp_path / "s")
    with Server(with_arguments(mode, "--bind", f"127.0.0.1:{port}", "--bind", f"unix:{path}"), tmp_path) as server:
        check_echo(connect(server))
        first, server.port = server.port, port
        check_echo(connect(server))
        server.port = first
        with socket.socket(socket.AF_UNIX) as unix:
            unix.connect(path)
            unix.sendall(f"GET {target_of()} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: unix.recv(65536), b""))
        assert b'0{"sid":' in answer, answer


@each(*OWN_MODES)
def test_it_speaks_tls(mode, connect, tmp_path, certificate):
    with Server(mode, tmp_path, certificate) as server:
        check_echo(connect(server))
        client = connect(server)
        check_echo(client)
        staying = client.open_websocket()
        server.signal(signal.SIGTERM)
        assert staying.expect_close() == 1001
        assert server.wait_for_end(6) == 0


@each(EVENTLET)
def test_who_does_not_speak_tls_disturbs_nobody(mode, connect, tmp_path, certificate):
    with Server(mode, tmp_path, certificate) as server:
        silent, confused = [socket.create_connection((server.host, server.port)) for _ in range(2)]
        confused.sendall(b"GET / HTTP/1.1\r\n\r\n")
        wait_until(lambda: ended(confused), "the end of a connection that makes no sense")
        check_echo(connect(server))
        assert not ended(silent)
        silent.close()
        confused.close()


def ended(sock: socket.socket) -> bool:
    sock.settimeout(0.05)
    try:
        return sock.recv(100) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


@each(EVENTLET, STOCK_MODES[0])
def test_a_file_goes_out_whole_to_a_slow_reader(mode, connect, tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(MEGABYTE) * 8)
    monkeypatch.setenv("WORKERS_FILE", str(path))
    with Server(mode, tmp_path) as server:
        connection = Connection(server.host, server.port, receive_buffer=8192)
        assert connection.request("GET", "/file").body == path.read_bytes()
        assert connection.request("GET", "/file").body == path.read_bytes()
        connection.close()


@each(EVENTLET)
def test_a_worker_is_not_killed_for_a_handler_that_takes_long(mode, connect, tmp_path):
    with Server(with_arguments(mode, "--timeout", "2"), tmp_path) as server:
        before, client = server.worker, connect(server)
        ws = client.open_websocket()
        ws.send_data({"cmd": "block", "seconds": 3.5, "tag": "long"})
        assert ws.receive_data(timeout=8) == ["unblocked long"]
        assert server.worker == before
        client.close_all()


@each(EVENTLET)
def test_a_worker_that_hangs_is_replaced(mode, connect, tmp_path):
    with Server(with_arguments(mode, "--timeout", "1"), tmp_path) as server:
        before = server.worker
        connect(server).connect().send_request("GET", "/freeze?seconds=60")
        server.wait_for_other_worker(before, 10)
        assert "WORKER TIMEOUT" in server.new_log()


@each(EVENTLET)
def test_websockets_of_eventlet_itself_go_on_working(mode, connect, tmp_path):
    with Server(mode, tmp_path) as server:
        ws = connect(server).raw_websocket("/eventlet")
        ws.send("hello")
        assert ws.receive() == "hello"
        ws.send("bye")
        ws.expect_gone()
        check_echo(connect(server))


@each(EVENTLET)
def test_a_silent_connection_is_ended_after_the_keep_alive_time(mode, connect, tmp_path):
    with Server(with_arguments(mode, "--keep-alive", "1"), tmp_path) as server:
        connection = connect(server).connect()
        assert connection.request("GET", "/who").keep_alive
        began = time.monotonic()
        assert connection.expect_end() == b""
        assert 0.8 < time.monotonic() - began < 3


@each(EVENTLET)
def test_connections_beyond_the_limit_wait_for_their_turn(mode, connect, tmp_path):
    with Server(with_arguments(mode, "--worker-connections", "2"), tmp_path) as server:
        client = connect(server)
        websockets = [client.open_websocket() for _ in range(5)]  # these count no longer
        slow = [client.connect() for _ in range(2)]
        for connection in slow:
            connection.send_request("GET", "/slow?seconds=0.7", [("Connection", "close")])
        late = client.connect()
        late.send_request("GET", "/who")
        assert not late.readable(0.2)
        assert late.read_response().status == 200
        assert [ws.request("x") for ws in websockets] == [["x"]] * 5


@each(EVENTLET)
def test_the_proxy_protocol_names_the_client(mode, connect, tmp_path):
    with Server(with_arguments(mode, "--proxy-protocol", "v1"), tmp_path) as server:
        connection = connect(server).connect()
        connection.send(b"PROXY TCP4 192.0.2.7 127.0.0.1 1234 80\r\n")
        assert connection.request("GET", "/who").text.startswith("192.0.2.7 http")
        assert connection.request("GET", "/who").text.startswith("192.0.2.7 http")


@each(THREADS)
def test_a_client_that_does_not_close_keeps_nobody_waiting(mode, connect, tmp_path):
    """Told that its connection ends, with a body that nobody has read: gunicorn waits for it, but not in its main loop."""
    with Server(mode, tmp_path) as server:
        client, other = connect(server), connect(server)
        lingering = [client.connect() for _ in range(4)]
        for connection in lingering:
            headers = [("Content-Length", "100000000"), ("Connection", "close")]
            connection.send_request("POST", target_of("polling", "nobody"), headers)
            connection.send(b"x" * 1000)
            assert connection.read_response().status == 400
        began = time.monotonic()
        assert other.http("GET", "/who").status == 200
        assert time.monotonic() - began < 1
