"""What each of some ranks brings to a file, from the number of the trace alone."""

from __future__ import annotations

import numpy as np

from seisflow.domain import Event, MomentTensor, Station
from seisflow.io.asdf import channel_code, trace_name
from seisflow.io.events import event_uri
from seisflow.io.parallel_asdf import Part
from seisflow.io.provenance import Provenance, waveform_id
from seisflow.io.stations import stationxml

EVENT = Event("e1", 1.0e9, 38.0, -122.0, 1e4, MomentTensor(1e15, 0, -1e15, 0, 0, 0))
PROVENANCE = Provenance("test")
INTERVAL = 0.5


def part_of(traces: int, rank: int = 0, size: int = 1, samples: int = 500) -> Part:
    """Every size-th station from the rank-th on; traces of unequal lengths, some of integers."""
    head = {
        "starttime": round(EVENT.time * 1e9),
        "sampling_rate": np.float64(1 / INTERVAL),
        "event_id": event_uri(EVENT),
        "provenance_id": waveform_id(PROVENANCE),
    }
    stations, found = {}, {}
    for number in range(traces):
        if (number // 3) % size != rank:
            continue
        station = Station("XX", f"S{number // 3:03d}", 38 + 0.01 * number, -122.0)
        code = channel_code("ENZ"[number % 3], INTERVAL)
        noise = np.random.default_rng(number).standard_normal(samples + number)
        data = (1000 * noise).astype(np.int32) if number % 4 == 3 else noise.astype(np.float32)
        stations[station.id] = stationxml([station], [channel_code(one, INTERVAL) for one in "ENZ"])
        name = trace_name(
            f"{station.id}..{code}", head["starttime"], data.size, INTERVAL, "observed_processed"
        )
        found[name] = data, head
    return Part(stations, found)
