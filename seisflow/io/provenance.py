"""Where a file comes from, as a SEIS-PROV document (https://seismicdata.github.io/SEIS-PROV)."""

from __future__ import annotations

import hashlib
import io
import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from seisflow import __version__

__all__ = ["Provenance", "decode", "encode", "waveform_id"]

_SEIS_PROV = "http://seisprov.org/seis_prov/0.1/#"
_SEISFLOW = "https://seisflow.org/prov/1#"
_PROV = "http://www.w3.org/ns/prov#"


@dataclass(frozen=True)
class Provenance:
    """What made a file, of what.

    Parameters
    ----------
    activity : str
        What was done, as ``event_gradient`` or ``import``.
    configuration : str
        SHA-256 of the configuration that was used; empty where none was.
    model : str
        SHA-256 of the model file; empty where none was used.
    parents : tuple of (str, str)
        Names and SHA-256 of the other files that went in.
    software, version : str
        What did it.
    """

    activity: str
    configuration: str = ""
    model: str = ""
    parents: tuple[tuple[str, str], ...] = ()
    software: str = "seisflow"
    version: str = __version__


@lru_cache(maxsize=64)
def _digest(provenance: Provenance) -> str:
    """Seven hexadecimal digits that stand for the content: SEIS-PROV wants such ids."""
    return hashlib.sha256(repr(sorted(asdict(provenance).items())).encode()).hexdigest()[:7]


def waveform_id(provenance: Provenance) -> str:
    """Qualified name of the entity that stands for the waveforms, for ``provenance_id`` attributes.

    Parameters
    ----------
    provenance : Provenance

    Returns
    -------
    str
    """
    return f"{{{_SEIS_PROV}}}sp002_wf_{_digest(provenance)}"


def encode(provenance: Provenance) -> bytes:
    """Encode as PROV-XML; equal provenance gives equal bytes.

    Parameters
    ----------
    provenance : Provenance

    Returns
    -------
    bytes
    """
    from prov.model import PROV, ProvDocument

    digest = _digest(provenance)
    document = ProvDocument()
    document.add_namespace("seis_prov", _SEIS_PROV)
    document.add_namespace("seisflow", _SEISFLOW)
    agent = document.agent(
        f"seis_prov:sp001_sa_{digest}",
        (
            ("prov:label", provenance.software),
            ("prov:type", PROV["SoftwareAgent"]),
            ("seis_prov:software_name", provenance.software),
            ("seis_prov:software_version", provenance.version),
        ),
    )
    activity = document.activity(
        f"seis_prov:sp001_ac_{digest}",
        None,
        None,
        (("prov:label", provenance.activity), ("seisflow:activity", provenance.activity)),
    )
    document.wasAssociatedWith(activity, agent)
    for number, (role, name, value) in enumerate(_inputs(provenance)):
        entity = document.entity(
            f"seisflow:input_{number:03d}_{digest}",
            (
                ("prov:label", name),
                ("seisflow:role", role),
                ("seisflow:name", name),
                ("seisflow:sha256", value),
            ),
        )
        document.used(activity, entity)
    waveforms = document.entity(
        f"seis_prov:sp002_wf_{digest}",
        (("prov:label", "Waveform Trace"), ("prov:type", "seis_prov:waveform_trace")),
    )
    document.wasGeneratedBy(waveforms, activity)
    buffer = io.BytesIO()
    document.serialize(buffer, format="xml")
    return buffer.getvalue()


def _inputs(provenance: Provenance) -> list[tuple[str, str, str]]:
    found = [
        ("configuration", "configuration", provenance.configuration),
        ("model", "model", provenance.model),
    ]
    found = [entry for entry in found if entry[2]]
    return found + [("parent", name, value) for name, value in provenance.parents]


def decode(content: bytes) -> Provenance:
    """Decode what ``encode`` has made.

    Parameters
    ----------
    content : bytes

    Returns
    -------
    Provenance

    Raises
    ------
    ValueError
        If it is no such document.
    """
    try:
        root = ET.fromstring(content)
    except ET.ParseError as error:
        raise ValueError(f"the provenance is no XML: {error}") from error
    inputs = [
        tuple(_text(entity, f"{{{_SEISFLOW}}}{key}") for key in ("role", "name", "sha256"))
        for entity in root.iter(f"{{{_PROV}}}entity")
        if entity.find(f"{{{_SEISFLOW}}}role") is not None
    ]
    single = {role: value for role, _, value in inputs if role != "parent"}
    return Provenance(
        activity=_text(root, f".//{{{_SEISFLOW}}}activity"),
        configuration=single.get("configuration", ""),
        model=single.get("model", ""),
        parents=tuple((name, value) for role, name, value in inputs if role == "parent"),
        software=_text(root, f".//{{{_SEIS_PROV}}}software_name"),
        version=_text(root, f".//{{{_SEIS_PROV}}}software_version"),
    )


def _text(element: Any, name: str) -> str:
    text = element.findtext(name)
    if text is None:
        raise ValueError(f"the provenance lacks {name}")
    return str(text)
