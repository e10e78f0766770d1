"""What a moment tensor means: nodal planes, share of a double couple, angle between two."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from seisflow.domain.event import MomentTensor
from seisflow.domain.grid import FloatArray

__all__ = [
    "NodalPlane",
    "double_couple",
    "double_couple_share",
    "isotropic_share",
    "nodal_planes",
    "rotation_angle",
]


@dataclass(frozen=True)
class NodalPlane:
    """Strike (clockwise from north), dip and rake in degrees (Aki & Richards 2002, figure 4.13)."""

    strike: float
    dip: float
    rake: float

    def __str__(self) -> str:
        return f"{self.strike:.0f}/{self.dip:.0f}/{self.rake:.0f}"


def _north_east_down(tensor: MomentTensor) -> FloatArray:
    t = tensor
    return np.array([[t.mtt, -t.mtp, t.mrt], [-t.mtp, t.mpp, -t.mrp], [t.mrt, -t.mrp, t.mrr]])


def double_couple(plane: NodalPlane, moment: float) -> MomentTensor:
    """The moment tensor of slip on a plane (Aki & Richards 2002, box 4.4).

    Parameters
    ----------
    plane : NodalPlane
    moment : float
        Scalar moment in N m.
    """
    strike, dip, rake = np.radians([plane.strike, plane.dip, plane.rake])
    normal = np.array([-np.sin(dip) * np.sin(strike), np.sin(dip) * np.cos(strike), -np.cos(dip)])
    slip = np.array(
        [
            np.cos(rake) * np.cos(strike) + np.cos(dip) * np.sin(rake) * np.sin(strike),
            np.cos(rake) * np.sin(strike) - np.cos(dip) * np.sin(rake) * np.cos(strike),
            -np.sin(rake) * np.sin(dip),
        ]
    )
    m = moment * (np.outer(slip, normal) + np.outer(normal, slip))
    return MomentTensor(
        mrr=float(m[2, 2]), mtt=float(m[0, 0]), mpp=float(m[1, 1]), mrt=float(m[0, 2]), mrp=float(-m[1, 2]),
        mtp=float(-m[0, 1]),
    )  # fmt: skip


def nodal_planes(tensor: MomentTensor) -> tuple[NodalPlane, NodalPlane]:
    """Both planes of the double couple whose axes of tension and pressure are those of the tensor."""
    _, axes = np.linalg.eigh(_north_east_down(tensor))
    pressure, tension = axes[:, 0], axes[:, 2]
    first, second = (tension + pressure) / np.sqrt(2), (tension - pressure) / np.sqrt(2)
    return _plane(first, second), _plane(second, first)


def _plane(normal: FloatArray, slip: FloatArray) -> NodalPlane:
    """The plane of a normal and a slip in north, east, down."""
    if normal[2] > 0:
        normal, slip = -normal, -slip
    dip = np.arccos(np.clip(-normal[2], -1, 1))
    strike = np.arctan2(-normal[0], normal[1])
    along = slip[0] * np.cos(strike) + slip[1] * np.sin(strike)
    up = -slip[2] / np.sin(dip) if np.sin(dip) > 1e-9 else slip[0] * np.sin(strike) - slip[1] * np.cos(strike)
    angles = np.degrees([strike % (2 * np.pi), dip, np.arctan2(up, along)])
    return NodalPlane(*(float(angle) for angle in angles))


def double_couple_share(tensor: MomentTensor) -> float:
    """1 - 2 |e|, with e the smallest over the largest eigenvalue of the deviatoric part (Jost & Herrmann 1989)."""
    m = _north_east_down(tensor)
    values = np.linalg.eigvalsh(m - np.trace(m) / 3 * np.eye(3))
    order = np.sort(np.abs(values))
    return float(1 - 2 * order[0] / order[2]) if order[2] > 0 else 0.0


def isotropic_share(tensor: MomentTensor) -> float:
    """Trace / 3 over the largest absolute eigenvalue, -1 to 1; positive is an explosion."""
    m = _north_east_down(tensor)
    largest = float(np.abs(np.linalg.eigvalsh(m)).max())
    return float(np.trace(m)) / 3 / largest if largest > 0 else 0.0


def rotation_angle(first: MomentTensor, second: MomentTensor) -> float:
    """Least rotation in degrees that takes the principal axes of one tensor to those of another (Kagan 1991)."""
    frames = []
    for tensor in (first, second):
        _, axes = np.linalg.eigh(_north_east_down(tensor))
        axes[:, 1] *= np.sign(np.linalg.det(axes))
        frames.append(axes)
    angles = []
    for a, b in product((1, -1), repeat=2):
        turned = frames[0] @ np.diag([a, a * b, b]) @ frames[1].T
        angles.append(np.degrees(np.arccos(np.clip((np.trace(turned) - 1) / 2, -1, 1))))
    return float(min(angles))
