"""What could not be used of the recordings, each thing told once.

Recordings are read in parts, for several phases, and channel by channel, so that one dead sensor is met dozens of
times a day; sentences that differ in numbers or in the channel alone tell of one thing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["told_apart", "told_once"]

_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\w)")
_CHANNEL = re.compile(r"^(?P<station>[^ :]+): (?P<channel>\w*\.\w{3}) (?P<rest>.+)$")


def told_once(parts: Sequence[Iterable[str]]) -> list[str]:
    """Sentences about parts of a day: those that differ in numbers alone as one, with the range of the numbers.

    Parameters
    ----------
    parts : sequence of iterable of str
        What was said of each part.

    Returns
    -------
    list of str
        With how many parts it is true of, where not of all.
    """
    alike: dict[str, list[str]] = {}
    seen: dict[str, set[int]] = {}
    for number, sentences in enumerate(parts):
        for text in sentences:
            key = _shape(text)
            alike.setdefault(key, []).append(text)
            seen.setdefault(key, set()).add(number)
    result: dict[str, list[str]] = {}
    for key, texts in alike.items():
        one = _joined(texts)
        if len(seen[key]) < len(parts):
            one += f" (in {len(seen[key])} of {len(parts)} parts of the day)"
        found = _CHANNEL.match(one)
        about = f"{found['station']}: | {found['rest']}" if found else one
        result.setdefault(about, []).append(f"{found['channel']}" if found else "")
    return [
        about.replace("|", channels[0], 1)
        + (f" (also {', '.join(channels[1:])})" if len(channels) > 1 else "")
        for about, channels in result.items()
    ]


def told_apart(sentences: Sequence[str], more: Iterable[str]) -> list[str]:
    """Sentences, and those of more that do not differ from one of them in numbers alone.

    Parameters
    ----------
    sentences : sequence of str
    more : iterable of str

    Returns
    -------
    list of str
    """
    known = {shape for text in sentences for shape in _shapes(text)}
    return [*sentences, *(text for text in dict.fromkeys(more) if not known.issuperset(_shapes(text)))]


def _shape(text: str) -> str:
    """A sentence without its numbers, which no name of a station is."""
    name, colon, rest = text.partition(": ")
    return name + colon + _NUMBER.sub("#", rest)  # without a colon it is about no station, and stays as it is


def _shapes(text: str) -> list[str]:
    """The shape of a sentence by channel, without what is said of parts of the day."""
    text = re.sub(r" \(in \d+ of \d+ parts of the day\)", "", text)
    also = re.search(r" \(also ([^)]*)\)$", text)
    plain = _shape(text[: also.start()] if also else text).replace("# to #", "#")
    found = _CHANNEL.match(plain)
    if also is None or found is None:
        return [plain]
    return [plain, *(plain.replace(found["channel"], each, 1) for each in also[1].split(", "))]


def _joined(texts: Sequence[str]) -> str:
    """One sentence for several of one shape."""
    numbers = [_NUMBER.findall(text.partition(": ")[2]) for text in texts]
    spans = []
    for column in zip(*numbers, strict=True):
        ordered = sorted(set(column), key=float)
        spans.append(ordered[0] if len(ordered) == 1 else f"{ordered[0]} to {ordered[-1]}")
    name, colon, rest = texts[0].partition(": ")
    filled = iter(spans)
    return name + colon + _NUMBER.sub(lambda _: next(filled), rest)
