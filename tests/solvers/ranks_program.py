"""Run by mpiexec: a forward run and its gradient by all ranks; the first one writes them to a file.

Arguments: the file, settings of the solver as JSON, which case, and a rank that is to fail.
"""

from __future__ import annotations

import json
import sys
from dataclasses import astuple, replace

import numpy as np
from simulations import FORCE, event, model, simulation, unstable

from seisflow.errors import PhysicsError
from seisflow.ranks import world
from seisflow.solvers import Elastic3D, Elastic3DConfig, Team, release, serve
from seisflow.solvers.run import Run

UNSTABLE = (26, 17, 9)


def case(which):
    lossy = model()
    lossy = replace(lossy, qkappa=lossy.vp / 20, qmu=lossy.vs / 40)
    changes = {
        "lossy": {"model": lossy, "event": event(-2100.0, 3300.0, 500.0)},
        "force": {"event": event(-2100.0, 3300.0, 0.0, FORCE)},
        "shallow": {"event": event(-2100.0, 3300.0, 500.0)},
        "long": {"model": model((40, 11, 8))},
    }
    return simulation(**changes.get(which, {}))


def break_all():
    """Solvers that are made from now on are unstable at UNSTABLE."""
    made = Elastic3D.__init__

    def make(self, *given, **named):
        made(self, *given, **named)
        unstable(self, UNSTABLE)

    Elastic3D.__init__ = make


def message(solver, sim):
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            solver.forward(sim)
        except PhysicsError as error:
            return {"message": np.array(str(error))}
    raise SystemExit("it did not blow up")


def results(solver, sim):
    forward = solver.forward(sim, keep=True)
    kernel = solver.adjoint(forward, forward.gather)
    of_source = {}
    # what a forward run keeps serves more than once
    if sim.event.source is not FORCE:
        again = solver.adjoint(forward, forward.gather, with_source=True)
        assert np.array_equal(kernel.vs, again.vs)
        columns = solver.source_columns(sim, ("mrr", "depth", "time"))
        of_source = {
            "source": np.array(astuple(again.source)),
            "columns": np.stack([c.data for c in columns]),
        }
    return {
        "gather": forward.gather.data, **kernel.fields(), "illumination": kernel.illumination, **of_source,
        "bytes": np.array(solver.plan(sim).gradient_bytes),
    }  # fmt: skip


def fail(*_, **__):
    raise MemoryError("made to fail")


def main(path, settings, which, failing="-1"):
    ranks = world()
    if ranks.rank == int(failing):
        Run.simulate = fail
    if which == "unstable":
        break_all()
    if not ranks.leads:
        serve(ranks)
        return
    team = Team(Elastic3DConfig(**json.loads(settings)), 1, ranks)
    try:
        made = message if which == "unstable" else results
        np.savez(path, **made(team, case(which)))
    finally:
        release(ranks)


if __name__ == "__main__":
    main(*sys.argv[1:])
