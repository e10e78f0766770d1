"""Draw docs/pictures/weights.png: geographic weights of the network of docs/socal.md.

Run ``python docs/make_weights_picture.py socal_noise/STATIONS`` (code, network, latitude, longitude in each line).
"""

from __future__ import annotations

import sys
from pathlib import Path

from seisflow.domain import Station
from seisflow.report import draw_weights, write_png
from seisflow.weights import geographic_weights, pair_distances, reference_distance

PICTURE = Path(__file__).parent / "pictures" / "weights.png"


def main() -> None:
    """Read, weigh, draw."""
    rows = [line.split()[:4] for line in Path(sys.argv[1]).read_text().splitlines() if line.strip()]
    stations = [
        Station(network, code, float(latitude), float(longitude))
        for code, network, latitude, longitude in rows
    ]
    places = tuple((station.latitude, station.longitude) for station in stations)
    factors = geographic_weights(places, "auto")
    figure = draw_weights(
        [], stations, {s.id: f for s, f in zip(stations, factors, strict=True)}, (None, "auto")
    )
    write_png(figure, PICTURE, dots_per_inch=110)
    distance = reference_distance(pair_distances(places))
    print(f"{len(stations)} stations, {distance / 1e3:.3g} km, {min(factors):.3g} to {max(factors):.3g}")


if __name__ == "__main__":
    main()
