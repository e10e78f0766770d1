"""Window selection written out slowly: one candidate at a time, from the formulas of Maggi et al. (2009)."""

from itertools import combinations, pairwise

import numpy as np


def short_over_long(trace, dt, period):
    """E(t) by running the recursions, after so long a padding that its length cannot matter."""
    samples = len(trace)
    spectrum = np.fft.fft(trace, 2 * samples)
    spectrum[1:samples] *= 2
    spectrum[samples + 1 :] = 0
    e = np.abs(np.fft.ifft(spectrum))[:samples]
    floor = e.max() / 1e5
    cs, cl = 10 ** (-dt / period), 10 ** (-dt / (12 * period))
    short = long = 0.0
    for _ in range(int(200 * period / dt)):
        short, long = cs * short + floor, cl * long + floor
    out = []
    for value in e + floor:
        short, long = cs * short + value, cl * long + value
        out.append(short / long)
    return np.array(out)


def extrema(values):
    peaks, troughs = [], []
    for i in range(1, len(values) - 1):
        j = i
        while j < len(values) - 1 and values[j] == values[i]:
            j += 1
        if values[i - 1] < values[i] > values[j]:
            peaks.append(i)
        if values[i - 1] > values[i] < values[j]:
            troughs.append(i)
    return peaks, troughs


def best_schedule(left, right, value):
    """Try all subsets."""
    best, chosen = 0.0, ()
    for size in range(1, len(left) + 1):
        for subset in combinations(range(len(left)), size):
            ordered = sorted(subset, key=lambda n: (left[n], right[n]))
            if all(right[a] <= left[b] for a, b in pairwise(ordered)):
                total = sum(value[n] for n in ordered)
                if total > best + 1e-12:
                    best, chosen = total, tuple(ordered)
    return best, chosen


def limit_extrema(peaks, troughs, samples, t0, dt, first, last):
    """Troughs in the span of travel times, its ends added if that cut any; peaks strictly inside."""
    lo, hi = (first - t0) / dt, min((last - t0) / dt, samples - 1)
    inside = [t for t in troughs if lo <= t <= hi]
    if len(inside) < len(troughs):
        inside = sorted({*inside, max(int(np.ceil(lo)), 0), int(np.floor(hi))})
    return [p for p in peaks if inside and inside[0] < p < inside[-1]], inside


def shapes_pass(e, peaks, troughs, peak, left, right, dt, period, c):
    """Stages 5 to 8 for one candidate."""
    if (right - left) * dt < c.min_length * period:
        return False
    if any(left < t < right and e[t] <= c.interior_minima * c.water_level for t in troughs):
        return False
    if c.prominence:
        beside = max(t for t in troughs if t < peak), min(t for t in troughs if t > peak)
        if any(e[peak] - e[t] < c.prominence * e[peak] for t in beside):
            return False
    lowest = min(e[t] for t in troughs if left <= t <= right)
    for m in peaks:
        if m != peak and left < m < right:
            away = abs(m - peak) * dt / period
            soon = c.separation_time
            f = 1.0 if away < soon else np.exp(-(((away - soon) / soon) ** 2))
            if e[m] - lowest > c.separation_height * (e[peak] - lowest) * f:
                return False
    return True


def cut(peaks, left, right, dt, period, c):
    """Stage 9."""
    inside = [p for p in peaks if left < p < right]
    before, after = c.curtail_left * period / dt, c.curtail_right * period / dt
    if inside[0] - left > before:
        left = int(np.ceil(inside[0] - before))
    if right - inside[-1] > after:
        right = int(np.floor(inside[-1] + after))
    return left, right


def fit(d, s, dt):
    """Lag by trying all, correlation, dlnA."""
    n = len(d)
    padded = np.concatenate([np.zeros(n), d, np.zeros(n)])
    best = max(range(-(n // 2), n // 2 + 1), key=lambda k: np.dot(s, padded[n + k : 2 * n + k]))
    height = np.dot(s, padded[n + best : 2 * n + best])
    energy = np.sum(d**2), np.sum(s**2)
    return best * dt, height / np.sqrt(energy[0] * energy[1]), 0.5 * np.log(energy[0] / energy[1])


def candidates(d, s, t0, dt, band, first_arrival, last_arrival, c):
    """Stages 1 to 13: a list of (left, right, shift, correlation, dlna)."""
    period = band[0]
    e = short_over_long(s, dt, period)
    peaks, troughs = extrema(e)
    span = first_arrival - c.max_time_before_arrival, last_arrival + band[1]
    peaks, troughs = limit_extrema(peaks, troughs, len(s), t0, dt, *span)
    pairs = set()
    for peak in peaks:
        if e[peak] <= c.water_level:
            continue
        for left in (t for t in troughs if t < peak):
            for right in (t for t in troughs if t > peak):
                early, late = t0 + left * dt <= last_arrival, t0 + right * dt >= first_arrival - period
                if early and late and shapes_pass(e, peaks, troughs, peak, left, right, dt, period, c):
                    pairs.add(cut(peaks, left, right, dt, period, c))
    times = t0 + dt * np.arange(len(d))
    noise = d[times < first_arrival - period]
    out = []
    for left, right in sorted(pairs):
        if (right - left) * dt < c.min_length * period:
            continue
        part = d[left : right + 1]
        if len(noise) and np.abs(part).max() < c.min_signal_to_noise * np.abs(noise).max():
            continue
        shift, correlation, dlna = fit(part, s[left : right + 1], dt)
        if abs(shift - c.shift_reference) >= c.max_shift or abs(dlna - c.dlna_reference) >= c.max_dlna:
            continue
        if correlation >= c.min_correlation:
            out.append((left, right, shift, correlation, dlna))
    return out
