"""SciPy's Fourier transforms, imported when the first is asked for.

Nearly every module of the numerical layers transforms something, and importing ``scipy.fft`` takes longer than all that
`seisflow status` or a finished iteration have to do. Arguments and results are those of ``scipy.fft``.
"""

from __future__ import annotations

from typing import Any

__all__ = ["dctn", "fft", "idctn", "ifft", "irfft", "next_fast_len", "rfft", "rfftfreq"]


def fft(*arguments: Any, **options: Any) -> Any:
    """``scipy.fft.fft``."""
    from scipy.fft import fft

    return fft(*arguments, **options)


def ifft(*arguments: Any, **options: Any) -> Any:
    """``scipy.fft.ifft``."""
    from scipy.fft import ifft

    return ifft(*arguments, **options)


def rfft(*arguments: Any, **options: Any) -> Any:
    """``scipy.fft.rfft``."""
    from scipy.fft import rfft

    return rfft(*arguments, **options)


def irfft(*arguments: Any, **options: Any) -> Any:
    """``scipy.fft.irfft``."""
    from scipy.fft import irfft

    return irfft(*arguments, **options)


def dctn(*arguments: Any, **options: Any) -> Any:
    """``scipy.fft.dctn``."""
    from scipy.fft import dctn

    return dctn(*arguments, **options)


def idctn(*arguments: Any, **options: Any) -> Any:
    """``scipy.fft.idctn``."""
    from scipy.fft import idctn

    return idctn(*arguments, **options)


def rfftfreq(*arguments: Any, **options: Any) -> Any:
    """``scipy.fft.rfftfreq``."""
    from scipy.fft import rfftfreq

    return rfftfreq(*arguments, **options)


def next_fast_len(*arguments: Any, **options: Any) -> Any:
    """``scipy.fft.next_fast_len``."""
    from scipy.fft import next_fast_len

    return next_fast_len(*arguments, **options)
