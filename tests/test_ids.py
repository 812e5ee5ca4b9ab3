"""`callhome.store.ids`: UUIDv7 as RFC 9562 defines it."""

from __future__ import annotations

from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from callhome.store.ids import id_ms, new_id


@given(st.floats(0, 2**47 / 1000))
def test_an_id_carries_its_time_version_and_variant(now_s: float) -> None:
    """Version 7, the RFC's variant, and the millisecond it was made in."""
    made = new_id(now_s)
    assert UUID(bytes=made).version == 7
    assert UUID(bytes=made).variant == RFC_4122
    assert id_ms(made) == int(now_s * 1000)


def test_ids_of_one_millisecond_differ() -> None:
    """100,000 ids of the same moment are all different, in every random bit."""
    made = [new_id(1_000.0) for _ in range(100_000)]
    assert len(set(made)) == len(made)
    ones = 0
    for one in made:
        ones |= int.from_bytes(one, "big")
    assert ones & 0x0FFF_3FFF_FFFF_FFFF_FFFF == 0x0FFF_3FFF_FFFF_FFFF_FFFF
