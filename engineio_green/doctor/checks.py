"""What is examined over the wire, in the order of a client's life, and what is concluded from it.

Owns the examinations but for Socket.IO and the long silence, and their sentences. Uses what every client may ask, about forty
requests in all; sessions that it opens are closed. Must not know how a server is started.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

from engineio_green.doctor import silence, socketio
from engineio_green.doctor.findings import Report
from engineio_green.doctor.wire import (
    PATIENCE,
    Aside,
    Lost,
    Refused,
    Reply,
    Silent,
    Target,
    Visit,
    announce_body,
    connect_seconds,
    not_a_session,
    open_websocket,
    receive,
)

# A prime: behind a balancer that takes strict turns, a number that its processes divide is looked for just where it was opened.
# With two processes that are chosen at random, all eleven are found again once in 2,048 examinations.
SESSIONS = 11
SLOW = 1.0  # seconds on top of a round trip: no network does that, who holds an answer back does
SETTLE = 0.3  # seconds after which a poll is taken to be held
UNKNOWN_SID = 1
TRANSPORT_UNKNOWN = 0

PASS_UPGRADE = (
    "What stands in front has to pass the request's Upgrade header on, by HTTP/1.1. nginx: proxy_http_version 1.1; "
    "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; see examples/nginx.conf."
)
ONE_PROCESS = (
    "A session lives in one process. Run one (gunicorn: -w 1), or several with a balancer in front that sends each client "
    "to the same one: examples/nginx.conf does it by address, examples/haproxy.cfg by address and cookie."
)


class NothingThere(Exception):
    """No Engine.IO server answers; the text says what does, and what to try."""


class Examination:
    """One examination of *target*, written into *report*.

    :param site: whether the target is what browsers will see, so that its own pages must be let in.
    :param quick: leave out the long silence.
    :param elsewhere: where to look when no Engine.IO server answers at *target*.
    :param door: what a Socket.IO client asks for; ``None`` asks as one only at a path that is Socket.IO's by its name.
    """

    def __init__(
        self,
        target: Target,
        report: Report,
        *,
        site: bool = True,
        quick: bool = False,
        elsewhere: Target | None = None,
        door: socketio.Door | None = None,
    ) -> None:
        self.target = target
        self.report = report
        self._site = site
        self._quick = quick
        self._elsewhere = elsewhere
        self._door = door
        self._handshake: dict[str, Any] = {}
        self._round_trip = 0.0
        self._polls = self._finds_sessions = self._has_websocket = False
        self._blocked = False

    def run(self) -> None:
        """Do it all. Raises `NothingThere`."""
        self._open_session()
        if self._polls:
            self._guarded("processes", self._count_processes)
        if self._finds_sessions:
            self._guarded("polling", self._hold_a_poll)
        if self._blocked:
            return  # whatever is asked next would wait as well
        self._guarded("websocket", self._try_websocket)
        if self._finds_sessions and self._has_websocket and self._offers_websocket:
            self._guarded("upgrade", self._try_upgrade)
        self._try_socketio()
        if self._polls and self._site:
            self._guarded("origin", self._try_origins)
        if self._polls:
            self._guarded("bodies", self._announce_a_large_body)
        if not self._quick:
            self._keep_silent()

    def _guarded(self, check: str, examine: Any) -> None:
        try:
            examine()
        except Lost as error:
            self.report.fix(check, f"The connection for this examination {error}.", _LOOK)

    @property
    def _tolerance(self) -> float:
        """Seconds that an answer may take: a few round trips, for TLS and all, and what no network takes."""
        return SLOW + 5 * self._round_trip

    @property
    def _offers_websocket(self) -> bool:
        return "websocket" in self._handshake.get("upgrades", [])

    # --- the handshake ---------------------------------------------------------------------------------------------------

    def _open_session(self) -> None:
        self.report.progress("asking for a session")
        try:
            self._round_trip = connect_seconds(self.target)
            visit, reply = self._find_server()
        except Lost as error:
            raise NothingThere(f"{self.target.url} {error}.") from None
        if reply.code == TRANSPORT_UNKNOWN:
            self.report.note("handshake", "Polling is switched off by the server's option transports.")
            return
        if not visit.sid:
            raise NothingThere(not_a_session(self.target.url, reply))
        self._polls = True
        self._handshake = visit.handshake
        interval = visit.handshake.get("pingInterval", 0) / 1000
        self.report.ok(
            "handshake",
            f"A session by polling after {_ms(reply.seconds)}: websocket {'' if self._offers_websocket else 'NOT '}offered, "
            f"a ping every {interval:g} s, {visit.handshake.get('pingTimeout', 0) / 1000:g} s to answer it, "
            f"up to {visit.handshake.get('maxPayload', 0):,} bytes in a request.",
        )
        if reply.seconds > self._tolerance:
            self.report.note("handshake", f"{reply.seconds:.1f} s is slow: the connection alone took {_ms(self._round_trip)}.")
        self._leave(visit)

    def _find_server(self) -> tuple[Visit, Reply]:
        """A handshake, at the other path if this one has no Engine.IO server and that one has."""
        visit = Visit(self.target)
        reply = visit.open()
        if visit.sid or reply.code is not None or self._elsewhere is None:
            return visit, reply
        other = Visit(self._elsewhere)
        try:
            answer = other.open()
        except Lost:
            return visit, reply
        path, there = (urlsplit(target.url).path for target in (self.target, self._elsewhere))
        if not other.sid and answer.code is None:
            raise NothingThere(f"{not_a_session(self.target.url, reply)} Nor is it {there}, which answers with {answer}.")
        text = f"{path} is no Engine.IO server, it answers with {reply}; {there} is one, and is examined in its place."
        self.report.note("path", text)
        self.report.target = self._elsewhere.url
        self.target = self._elsewhere
        return other, answer

    def _leave(self, visit: Visit) -> None:
        try:
            visit.close()
        except Lost:
            pass  # the session ends by itself when its ping is not answered

    # --- sessions and processes ------------------------------------------------------------------------------------------

    def _count_processes(self) -> None:
        """Open sessions, and look for each again on another connection: all at once, or one process might take all."""
        self.report.progress(f"opening {SESSIONS} sessions, and looking for each on another connection")
        visits = [Visit(self.target) for _ in range(SESSIONS)]
        openings = [aside.finish() for aside in [Aside(visit.open) for visit in visits]]
        refused = next((reply for reply, visit in zip(openings, visits, strict=True) if not visit.sid), None)
        closings = [aside.finish() for aside in [Aside(visit.close) for visit in visits if visit.sid]]
        if refused is not None:
            self.report.note("processes", f"Of {SESSIONS} handshakes one was answered with {refused}: a limit? Not examined.")
            return
        odd = next((reply for reply in closings if reply.status != 200 and reply.code != UNKNOWN_SID), None)
        if odd is not None:
            self.report.fix("processes", f"A POST to a session that is open was answered with {odd}.", _LOOK_AT_POSTS)
            return
        different = len({visit.sid for visit in visits})
        if different < SESSIONS:
            text = f"{SESSIONS} handshakes gave {different} different sessions: a cache answers."
            self.report.fix("processes", text, _NO_CACHE)
            return
        cookies: dict[str, set[str]] = {}
        for reply, visit in zip(openings, visits, strict=True):
            for name, value in reply.cookies.items():
                if value != visit.sid:
                    cookies.setdefault(name, set()).add(value)
        self._conclude_processes(sum(reply.status == 200 for reply in closings), cookies)

    def _conclude_processes(self, found: int, cookies: dict[str, set[str]]) -> None:
        if found < SESSIONS:
            guess = f"about {max(2, round(SESSIONS / found))}" if found > 1 else "several"
            self.report.fix(
                "processes",
                f"{SESSIONS - found} of {SESSIONS} sessions were unknown ('Session ID unknown') to who answered on the next "
                f"connection: {guess} processes answer, and clients are not kept with theirs.",
                ONE_PROCESS,
            )
            return
        self._finds_sessions = True
        several = next((f"{name} with {len(values)} values" for name, values in cookies.items() if len(values) > 1), None)
        who = "one process answers, or clients are kept with theirs"
        self.report.ok("processes", f"All of {SESSIONS} sessions were found again on another connection: {who}.")
        if several:
            self.report.note(
                "processes",
                f"They are found by the cookie {several}: a client that keeps no cookies, or a page of another site "
                "without credentials, will lose its session.",
            )

    # --- polling ---------------------------------------------------------------------------------------------------------

    def _hold_a_poll(self) -> None:
        """A poll that is held must let a POST through, and must be answered as soon as there is an answer."""
        self.report.progress("holding a poll while another request is made")
        visit = Visit(self.target)
        visit.open()
        for _ in range(5):  # the application may have something to say first
            held = Aside(visit.poll)
            if not held.wait(SETTLE):
                break
            reply = held.result()
            if reply.status != 200:
                self.report.fix("polling", f"A poll was answered with {reply}.", _remedy(reply))
                return
        else:
            self._leave(visit)
            self.report.ok("polling", "Polls are answered. The application talks all the time, so none was ever held.")
            return
        self._end_a_held_poll(visit, held)

    def _end_a_held_poll(self, visit: Visit, held: Aside[Reply]) -> None:
        try:
            closing = visit.beside().close()
        except Silent:
            self._blocked = True
            self.report.fix("polling", f"While a poll was held, a POST was not answered within {PATIENCE:g} s.", _MORE_WORKERS)
            return
        posted = time.monotonic()
        if not held.wait(PATIENCE):
            self.report.fix("polling", f"A poll was not answered within {PATIENCE:g} s of its session's end.", _HOLDS_BACK)
            return
        delay = max(0.0, held.ended_at - posted)
        faulty = next((reply for reply in (closing, held.result()) if reply.status != 200), None)
        if faulty is not None:
            self.report.fix("polling", f"A held poll and a POST beside it: one was answered with {faulty}.", _remedy(faulty))
        elif delay > self._tolerance:
            self.report.fix("polling", f"The answer to a held poll came {delay:.1f} s late: something buffers it.", _HOLDS_BACK)
        else:
            self.report.ok("polling", f"A held poll lets a POST through, and was answered within {_ms(delay)} of it.")

    # --- websocket -------------------------------------------------------------------------------------------------------

    def _try_websocket(self) -> None:
        self.report.progress("opening a websocket")
        began = time.monotonic()
        try:
            connection = open_websocket(self.target)
        except Refused as refused:
            self._conclude_refused(refused.reply)
            return
        except Lost as error:
            self.report.fix("websocket", f"The connection of a websocket {error}.", PASS_UPGRADE)
            return
        try:
            first = receive(connection, PATIENCE)
        except Lost as error:
            self.report.fix("websocket", f"A websocket was opened, but it {error}, before any packet.", _TUNNEL)
            return
        finally:
            took = time.monotonic() - began
            connection.close()
        if not str(first).startswith("0{"):
            self.report.fix("websocket", f"The first message of a websocket was no open packet: {first[:40]!r}.", _TUNNEL)
            return
        self._has_websocket = True
        if took > self._tolerance:
            text = f"A websocket works, but its first packet took {took:.1f} s: it is held back."
            self.report.fix("websocket", text, _HOLDS_BACK)
        else:
            self.report.ok("websocket", f"A websocket from the start: open, with its first packet after {_ms(took)}.")
        if self._polls and not self._offers_websocket:
            self.report.note("websocket", "It is not offered to clients that start by polling: see the option allow_upgrades.")
        if not self._polls:
            self._handshake = silence.opened(str(first))

    def _conclude_refused(self, reply: Reply) -> None:
        if reply.code == TRANSPORT_UNKNOWN:
            self.report.note("websocket", "Websocket is switched off by the server's option transports.")
        elif reply.status >= 500:
            self.report.fix("websocket", f"The handshake of a websocket is answered with {reply}.", _LOOK)
        elif self._offers_websocket or not self._polls:
            text = f"The server offers websocket, but answers its handshake with {reply}: the Upgrade header is lost on the way."
            self.report.fix("websocket", text, PASS_UPGRADE)
        else:
            text = f"The server does not offer websocket, and answers its handshake with {reply}."
            self.report.fix("websocket", text, _OTHER_SERVER)

    def _try_upgrade(self) -> None:
        self.report.progress("moving a session from polling to websocket")
        visit = Visit(self.target)
        visit.open()
        held = Aside(visit.poll)
        held.wait(SETTLE)
        try:
            connection = open_websocket(self.target, visit)
        except Refused as refused:
            text = f"The websocket of an upgrade was answered with {refused.reply}."
            self.report.fix("upgrade", text, _remedy(refused.reply))
            return
        try:
            began = time.monotonic()
            connection.send("2probe")
            answer = receive(connection)
            took = time.monotonic() - began
            released = held.wait(PATIENCE)
            connection.send("5")
            if answer != "3probe" or not released:
                what = f"the probe was answered with {answer[:40]!r}" if released else "its poll was not released"
                self.report.fix("upgrade", f"An upgrade failed: {what}.", _LOOK)
            elif took > self._tolerance:
                self.report.fix("upgrade", f"A websocket frame took {took:.1f} s to be answered: it is held back.", _HOLDS_BACK)
            else:
                self.report.ok("upgrade", f"A session moves from polling to websocket; the probe took {_ms(took)}.")
        finally:
            connection.close()

    # --- Socket.IO ------------------------------------------------------------------------------------------------------

    def _try_socketio(self) -> None:
        door = self._door
        if door is None and urlsplit(self.target.url).path.endswith(socketio.DEFAULT_PATH):
            door = socketio.Door()
        if door is not None and (self._finds_sessions or self._has_websocket):
            socketio.examine(self.target, self.report, door, self._finds_sessions, self._has_websocket)

    # --- origins ---------------------------------------------------------------------------------------------------------

    def _try_origins(self) -> None:
        """A page of this very site sends its origin; the server compares it with what it takes itself for."""
        self.report.progress("asking as a page of this site")
        own = self.target.origin
        reply = self._ask_from(own)
        if reply.status == 200:
            self.report.ok("origin", f"Pages of {own} are let in.")
            return
        scheme, _, place = own.partition("://")
        bare = place if place.endswith("]") else place.rpartition(":")[0] or place
        other = {"http": "https", "https": "http"}[scheme]
        candidates = dict.fromkeys([f"{other}://{place}", f"{scheme}://{bare}", f"{other}://{bare}"])
        taken_for = next((origin for origin in candidates if origin != own and self._ask_from(origin).status == 200), None)
        refused = f"Received was the origin {own}, of a page of this very site; it is refused with {reply}. "
        if taken_for is None:
            text = f"{refused}Computed was another one, neither {' nor '.join(candidates)}: the Host header is not passed on."
        else:
            text = f"{refused}Computed was {taken_for}: the server does not learn how browsers call it."
        self.report.fix("origin", text, _FORWARDED.format(origin=own, scheme=scheme, place=place))

    def _ask_from(self, origin: str) -> Reply:
        visit = Visit(self.target, origin)
        reply = visit.open()
        if visit.sid:
            self._leave(visit)
        return reply

    # --- bodies ----------------------------------------------------------------------------------------------------------

    def _announce_a_large_body(self) -> None:
        """The head of a late POST, to a session that is gone, of the largest size: an Engine.IO server refuses it at once."""
        self.report.progress("announcing a large request")
        visit = Visit(self.target)
        visit.open()
        self._leave(visit)
        length = int(self._handshake.get("maxPayload", 0)) or 100_000
        try:
            reply = announce_body(self.target, visit.sid, length, self._tolerance)
        except Silent:
            self.report.note(
                "bodies",
                "Something collects the whole body of a request before anything else is done with it, mostly a proxy that "
                "buffers (nginx: proxy_request_buffering). That protects servers with few threads from slow clients, and makes "
                "large messages by polling later.",
            )
            return
        if reply.status == 413:
            text = f"A request of {length:,} bytes, which the server allows, is answered with {reply}."
            remedy = "Raise the limit in front (nginx: client_max_body_size), or lower max_http_buffer_size."
            self.report.fix("bodies", text, remedy)
        else:
            self.report.ok("bodies", f"Requests of up to {length:,} bytes reach the server while they are sent.")

    # --- silence ---------------------------------------------------------------------------------------------------------

    def _keep_silent(self) -> None:
        interval = self._handshake.get("pingInterval", 0) / 1000
        if interval and (self._has_websocket or self._finds_sessions):
            silence.examine(self.target, self.report, interval, self._has_websocket, self._finds_sessions)


def _remedy(reply: Reply) -> str:
    return ONE_PROCESS if reply.code == UNKNOWN_SID else _LOOK


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


_LOOK = "Look into the logs of server and proxy."
_MORE_WORKERS = (
    "The server works off one request at a time. Let it have threads or greenlets: gunicorn -c "
    "python:engineio_green.gunicorn_conf -k gthread --threads 8, gunicorn -k gevent, or run_simple(..., threaded=True)."
)
_HOLDS_BACK = (
    "Let what stands in front pass answers on as they come. nginx: proxy_buffering off; HAProxy: no inspect-delay, no "
    "wait-for-body; and look for a virus scanner, a cache or a compressing proxy."
)
_TUNNEL = "What stands in front takes part in the websocket instead of passing its bytes on. " + PASS_UPGRADE
_OTHER_SERVER = (
    "This web server keeps the socket to itself (a websocket needs one that gives it away: gevent.pywsgi, gunicorn, "
    "eventlet.wsgi, Werkzeug; see the README's deployment table), or the options transports and allow_upgrades rule it out."
)
_NO_CACHE = "Answers say Cache-Control: no-store. Switch caching off for this path (nginx: proxy_cache off)."
_LOOK_AT_POSTS = "Let what stands in front pass POST requests on to the server, and look into both logs."
_FORWARDED = (
    "Let the proxy send X-Forwarded-Proto: {scheme} and X-Forwarded-Host: {place} (or the Host header as it came), and name "
    'its address in Server(trusted_proxies=...) unless it runs on the same machine; or allow the origin by name: '
    'cors_allowed_origins="{origin}", which is also what to look at if it is set already.'
)
