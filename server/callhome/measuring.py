"""What is read from the parts of a server for each scrape: all that needn't be counted as it happens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from . import metrics
from .console.server import ConsoleServer
from .durability import Durability
from .health import Health
from .ingest.reasons import Reason
from .ingest.server import IngestServer
from .jobs.courier import Courier
from .live.audiences import Audiences
from .metrics import Connections, Tally, Task
from .persistent import Persistent


@dataclass(slots=True)
class Measuring:
    """Knows the parts of a server; ``ingest`` and ``console`` are there once they listen."""

    tally: Tally
    health: Health
    durability: Durability
    hub: Audiences
    products: Mapping[str, int]
    sessions: Sequence[Persistent]
    couriers: Sequence[Courier]
    ingest: IngestServer | None = None
    console: ConsoleServer | None = None

    def text(self) -> bytes:
        """Measure, and return all metrics in Prometheus' text format."""
        tally, failover = self.tally, self.durability.failover
        tally.viewers, tally.viewers_cut = self.hub.viewers, self.hub.cut_total
        tally.is_database_away, tally.spooled_total = failover.is_away, failover.spooled
        self.health.measure(tally)
        tally.tasks = list(self._tasks())
        tally.deliveries = {courier.purpose: courier.outcomes for courier in self.couriers}
        tally.connections = {}
        if self.ingest is not None:
            tally.unverified = self.ingest.admission.unverified
            most = self.ingest.config.connections
            tally.connections["ingest"] = Connections(len(self.ingest.connections), most)
        if self.console is not None:
            tally.connections["console"] = Connections(self.console.connections, self.console.connections_max)
        return metrics.render(tally, self.products, tuple(Reason))

    def _tasks(self) -> Iterator[Task]:
        for session in self.sessions:
            yield Task(session.purpose, session.succeeded_s, session.interruptions, session.is_connected)
        # The keeper does this beside folding, which goes on where this fails.
        yield Task("partitions", self.tally.partitions_kept_s, self.tally.partitions_failed, None)
