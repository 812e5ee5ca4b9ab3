"""The loads that overload a server: what they send, what they hold back, and that nothing is told too well."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from random import Random
from uuid import UUID

import pytest

from bench import apart, books, flood, storm, workload
from bench.flood import BLOCK, Block, Flood, Flooded
from bench.load import Outcome
from bench.machine import Layout
from bench.pings import Pings
from bench.storm import Storm, Stormed
from bench.workers import received, spread
from callhome.errors import CallhomeError
from callhome.ingest.decode import decode_ping

SMOKE = workload.load("smoke")
HEAD = b"POST /v1/ping HTTP/1.1\r\nHost: x\r\n"
OK = b"HTTP/1.1 204 No Content\r\n\r\n"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
# No test waits so long unless it fails.
PATIENCE_S = 30.0

Answer = Callable[[socket.socket], None]


@contextmanager
def server(answer: Answer) -> Iterator[str]:
    """A server that does ``answer`` on each connection, in a thread: its URL."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                answer(self.request)

    class Server(socketserver.ThreadingTCPServer):
        request_queue_size = 128
        daemon_threads = False  # so that leaving waits for them

    with Server(("127.0.0.1", 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.server_address[1]}"
        finally:
            listener.shutdown()
            thread.join()


def answering(*answers: bytes) -> Answer:
    """Answer each request of a connection with one of these, in turns."""

    def answer(connection: socket.socket) -> None:
        with connection.makefile("rb") as requests:
            for said in cycle(answers):
                length = 0
                while (line := requests.readline()) not in (b"\r\n", b""):
                    if line.startswith(b"Content-Length: "):
                        length = int(line.split()[1])
                if not line:
                    return
                requests.read(length)
                connection.sendall(said)

    return answer


def ends(_connection: socket.socket) -> None:
    """End a connection without a word."""


@contextmanager
def prepared(load: Flood | Storm) -> Iterator[None]:
    """A load that is connected while this is entered."""
    try:
        load.prepare()
        yield
    finally:
        load.close()


def flooding(url: str, **given: float) -> Flood:
    """A flood of half a second."""
    order = {"rate_hz": 20_000.0, "seconds": 0.5, "connections": 4, **given}
    return Flood(flood.Order(url, dict(SMOKE.pings), "bench", "tag", **order))  # type: ignore[arg-type]


def storming(url: str, **given: float) -> Storm:
    """A storm of half a second."""
    order = {"rate_hz": 0.0, "seconds": 0.5, "at_once": 150, "holders": 0, **given}
    return Storm(storm.Order(url, dict(SMOKE.pings), "bench", "tag", **order))  # type: ignore[arg-type]


def test_blocks_are_pings_with_new_ids_at_each_use() -> None:
    """Requests of a block are whole pings of one template's installs, and no id ever comes twice."""
    pings, ids = Pings(SMOKE.pings, "bench", "tag"), set[UUID]()
    block = Block(pings, HEAD, 3, Random(1))
    versions = set()
    for use in range(3):
        block.renew(1_790_000_000_000 + use // 2)
        assert len(block.data) == BLOCK * block.request_bytes
        for at in range(0, len(block.data), block.request_bytes):
            head, _, body = bytes(block.data[at : at + block.request_bytes]).partition(b"\r\n\r\n")
            assert int(head.rpartition(b" ")[2]) == len(body)
            ping = decode_ping(body)
            assert ping.id is not None
            id_ = ping.id
            ids.add(id_)
            versions.add(ping.version)
            assert (id_.version, id_.int >> 80) == (7, 1_790_000_000_000 + use // 2)
            assert int(ping.install.rpartition("-")[2]) % len(pings.tails) == 3
    assert (len(ids), len(versions)) == (3 * BLOCK, 1)


def test_flood_counts_each_answer_by_its_status() -> None:
    """What was sent is answered, and told by status: a refusal is not taken for an acknowledgement."""
    with server(answering(OK, OK, OK, BUSY)) as url:
        load = flooding(url)
        with prepared(load):
            found = load.run(time.monotonic())
    assert found.sent == found.statuses.total() > 0
    assert set(found.statuses) == {204, 503}
    assert found.statuses[204] >= found.statuses[503] * 3 > 0
    assert found.in_time.total() <= found.statuses.total()
    assert found.cut == 0


def test_flood_holds_back_what_no_socket_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a server that reads nothing, what is due is held back, and only whole requests count as sent."""
    monkeypatch.setattr(flood, "DRAIN_S", 0.0)
    over = threading.Event()

    def hold(_connection: socket.socket) -> None:
        over.wait(PATIENCE_S)

    with server(hold) as url:
        load = flooding(url, rate_hz=1_000_000.0, connections=1)
        with prepared(load):
            found = load.run(time.monotonic())
        over.set()
    assert found.held > found.sent > 0
    assert found.sent + found.held <= 500_000
    assert found.statuses.total() == 0


def test_flood_survives_connections_that_are_cut() -> None:
    """Connections that the server ends are counted, and what went over them is not taken for answered."""
    with server(ends) as url:
        load = flooding(url, connections=3)
        with prepared(load):
            found = load.run(time.monotonic())
    assert (found.cut, found.statuses.total()) == (3, 0)


@pytest.mark.parametrize(("rate_hz", "held"), [(0.0, False), (200.0, False), (100_000.0, True)])
def test_storm_sends_a_ping_over_each_new_connection(rate_hz: float, held: bool) -> None:
    """As many as go, or at a rate, of which what is too much at once is held back; each has one end."""
    with server(answering(OK)) as url:
        load = storming(url, rate_hz=rate_hz)
        with prepared(load):
            found = load.run(time.monotonic())
    assert found.taken == found.statuses[204] > 0
    assert found.opened == found.taken + found.cut + found.waiting
    assert (found.held > 0) is held
    assert rate_hz != 200.0 or found.opened <= 100


def test_storm_takes_no_refusal_for_a_ping_taken() -> None:
    """Those told 503 are no pings taken, and those cut without a word are counted as that."""
    with server(answering(BUSY)) as refusing, server(ends) as cutting:
        found = []
        for url in (refusing, cutting):
            load = storming(url)
            with prepared(load):
                found.append(load.run(time.monotonic()))
    refused, cut = found
    assert (refused.taken, set(refused.statuses)) == (0, {503})
    assert (cut.taken, cut.statuses.total()) == (0, 0)
    assert cut.cut > 0


async def test_loads_run_in_processes_of_their_own() -> None:
    """Each is ready before any begins, and what they have found comes back."""
    with server(answering(OK)) as url:
        orders = [storm.Order(url, dict(SMOKE.pings), "bench", "tag", 100.0, 0.2, 10, 2)] * 2
        async with apart.ready(Storm, orders) as loads:
            loads.begin()
            total = Stormed()
            for one in await loads.found(PATIENCE_S):
                assert isinstance(one, Stormed)
                total.add(one)
    assert total.opened == total.taken + total.cut + total.waiting > 0


async def test_a_load_that_cannot_be_made_is_told() -> None:
    """What keeps a process from getting ready is raised here, as it is."""
    with server(answering(BUSY)) as url:
        orders = [storm.Order(url, dict(SMOKE.pings), "bench", "tag", 100.0, 0.2, 10, 1)]
        with pytest.raises(CallhomeError, match="is not taken"):
            async with apart.ready(Storm, orders):
                raise AssertionError("it is not ready")


def test_findings_of_several_processes_add_up() -> None:
    """All counts are sums, and the last answer is the last of all."""
    total = Flooded(sent=1, held=2, cut=3, last_s=4.0)
    total.add(Flooded(sent=10, held=20, cut=30, last_s=3.0))
    assert (total.sent, total.held, total.cut, total.last_s) == (11, 22, 33, 4.0)


async def test_metrics_are_summed_up_over_their_labels() -> None:
    """A counter by product or worker is one number here, and each worker's can be told apart."""
    text = (
        b"# TYPE callhome_received_pings counter\n"
        b'callhome_received_pings_total{worker="1"} 3.0\ncallhome_received_pings_total{worker="2"} 4.0\n'
        b"# TYPE callhome_pending_pings gauge\ncallhome_pending_pings 5.0\n"
    )
    said = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)
    with server(answering(said)) as url:
        told, by_worker = await books.metrics(url), await received(url)
    assert (told["callhome_received_pings_total"], told["callhome_pending_pings"]) == (7.0, 5.0)
    assert told["callhome_stored_pings_total"] == 0.0
    assert by_worker == {"1": 3.0, "2": 4.0}


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (Layout(frozenset({0}), frozenset({1, 2}), frozenset({3})), ({0, 1}, {2}, {3})),
        (Layout(frozenset({0}), frozenset({1, 2, 3, 4}), frozenset({5})), ({0, 1}, {2, 3, 4}, {5})),
        (Layout(frozenset({0, 2}), frozenset({1, 3}), frozenset({4})), ({0, 2}, {1, 3}, {4})),
        (Layout(frozenset({0}), frozenset({1}), frozenset({1})), ({0}, {1}, {1})),
    ],
)
def test_workers_get_two_cores(layout: Layout, expected: tuple[set[int], ...]) -> None:
    """The second core of the server is PostgreSQL's first, unless it was asked for otherwise or there is none."""
    found = spread(layout)
    assert [set(cores) for cores in (found.server, found.database, found.load)] == list(expected)


def test_latencies_of_a_time() -> None:
    """Only pings that were due from then on and before then are in it."""
    outcome = Outcome(10.0, latency_s=array("d", range(10)), late_s=array("d"))
    assert outcome.latencies(0.2, 0.5) == [2.0, 3.0, 4.0]
    assert outcome.latencies(0.8) == [8.0, 9.0]
    assert outcome.latencies() == [float(number) for number in range(10)]
