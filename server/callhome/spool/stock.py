"""What is in the spool, and up to where it is drained: bookkeeping on the event loop."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from .gather import Gathered
from .log import Appended
from .recovery import Recovered
from .segments import Segment

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Spooled:
    """Rows that were appended, in order, until `Spool.settled` is told of them.

    ``attempts`` are ids (16 bytes) of batches that may have stored them; whoever tries to store them adds to it.
    ``is_fresh``: surely nobody has tried.
    """

    rows: list[bytes]
    attempts: list[bytes]
    is_fresh: bool
    segment: Segment
    records: int
    end: int


class Figures:
    """What a spool tells of itself.

    ``pings`` and ``records`` (what was written at once) are in it, and take ``size_bytes`` of its bound;
    ``recovered_pings`` were in it when it was opened. ``oldest_s`` is when the oldest was appended, in Unix seconds,
    give or take a batch; None where it is empty. Since it was opened, ``damaged`` records or parts of segments could
    not be read, ``lost_pings`` of which could be before. ``torn`` writes were cut short when it was opened; or they
    were the last record of the newest segment, damaged.
    """

    def __init__(self) -> None:
        self.pings = 0
        self.records = 0
        self.size_bytes = 0
        self.oldest_s: float | None = None
        self.recovered_pings = 0
        self.damaged = 0
        self.torn = 0
        self.lost_pings = 0


class Stock:
    """The segments, the oldest first; of that one nothing is left before byte ``offset``. It keeps ``figures`` right.

    ``filled`` is set while there is something.
    """

    def __init__(self, figures: Figures) -> None:
        self.figures = figures
        self.segments: list[Segment] = []
        self.offset = 0
        self.filled = asyncio.Event()

    def begin(self, recovered: Recovered) -> None:
        """Take over what was found in the folder."""
        self.segments = recovered.segments
        self.figures.pings = self.figures.recovered_pings = recovered.pings
        self.figures.records = sum(segment.records for segment in self.segments)
        self.figures.size_bytes = sum(segment.end for segment in self.segments)
        self.figures.damaged = recovered.damaged
        self.figures.torn = recovered.torn
        self._note_oldest()

    def add(self, at: Appended, pings: int) -> None:
        """A record with so many pings is on the disk."""
        newest = self.segments[-1] if self.segments else None
        if newest is None or newest.number != at.number:
            newest = Segment(at.number, at.path, 0, at.at_us, is_fresh=True)
            self.segments.append(newest)
        self.figures.size_bytes += at.end - newest.end
        newest.end = at.end
        newest.records += 1
        newest.pings += pings
        self.figures.records += 1
        self.figures.pings += pings
        self._note_oldest()

    def take(self, segment: Segment, found: Gathered) -> Spooled | None:
        """Return what was read of the first segment; without any rows, there are none up to where that ended."""
        segment.known.update(found.regions)
        if not found.rows:
            self.offset = found.end
            if self.is_first_done:
                self._lose(segment)
            return None
        self.figures.oldest_s = found.at_us / 1e6
        return Spooled(found.rows, found.attempts, segment.is_fresh, segment, found.records, found.end)

    def settle(self, spooled: Spooled) -> None:
        """These are committed."""
        self.offset = spooled.end
        self._forget(spooled.segment, spooled.records, len(spooled.rows))

    @property
    def is_first_done(self) -> bool:
        """Whether nothing is left in the first segment."""
        return bool(self.segments) and self.offset >= self.segments[0].end

    def drop_first(self) -> Segment:
        """Return the first segment, and forget it."""
        segment = self.segments.pop(0)
        self._lose(segment)
        self.offset = 0
        self.figures.size_bytes -= segment.end
        self._note_oldest()
        return segment

    def _lose(self, segment: Segment) -> None:
        """Count what was there and can't be read any more."""
        if segment.records:
            logger.error("%d pings of %s can't be read any more", segment.pings, segment.path)
            segment.is_lossy = True
            self.figures.damaged += segment.records
            self.figures.lost_pings += segment.pings
            self._forget(segment, segment.records, segment.pings)

    def _forget(self, segment: Segment, records: int, pings: int) -> None:
        segment.records -= records
        segment.pings -= pings
        self.figures.records -= records
        self.figures.pings -= pings
        self._note_oldest()

    def _note_oldest(self) -> None:
        if self.figures.records == 0:
            self.figures.oldest_s = None
            self.filled.clear()
        else:
            self.filled.set()
            self.figures.oldest_s = max(self.figures.oldest_s or 0.0, self.segments[0].first_us / 1e6)
