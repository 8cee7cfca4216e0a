"""Numbers, times and names as people read them."""

from __future__ import annotations


def plural(count: int, one: str = "row", many: str = "rows") -> str:
    """ "1 row", "52,002 rows"."""
    return f"{count:,} {one if count == 1 else many}"


def duration(seconds: float) -> str:
    """ "8 s", "3 min 5 s", "2 h 10 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def file_size(count: int) -> str:
    """ "512 bytes", "21.1 MB"."""
    if count < 1000:
        return f"{count} bytes"
    for unit, scale in (("KB", 1e3), ("MB", 1e6)):
        if count < scale * 1000:
            return f"{count / scale:.1f} {unit}"
    return f"{count / 1e9:.2f} GB"


def compact(count: int) -> str:
    """ "912", "1.2 million"."""
    if count < 1_000_000:
        return f"{count:,}"
    return f"{count / 1e6:.1f} million"


def percent(part: int, whole: int) -> str:
    """ "12.3 %", or "0 %" of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else "0 %"


def model_label(name: str) -> str:
    """A model's id as a label: of a folder its last two parts."""
    prefix, colon, rest = name.partition(":")
    if colon and rest.startswith("/"):
        return f"{prefix}:…/{'/'.join(rest.rstrip('/').split('/')[-2:])}"
    return name
