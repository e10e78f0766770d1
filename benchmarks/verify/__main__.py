"""Verification of elastic3d: every case against an independent answer, and the page docs/verification.md.

    python benchmarks/verify [CASE ...] [--quick] [--no-page]

Cases are modules of this folder with a ``run``; the page keeps the sections of cases that are not run.
"""

from __future__ import annotations

import argparse
import importlib
import time

from common import ROOT, TARGET, TARGET_TF, Case, Skipped

CASES = ("full_space", "convergence", "lamb", "layers", "loh1", "loh3", "gil7", "dispersion", "contrast", "long_run",
         "orders")  # fmt: skip
PAGE, PICTURES = ROOT / "docs" / "verification.md", ROOT / "docs" / "pictures"
HEAD = f"""# Verification of `elastic3d`

Every case compares the solver with an answer that shares no code with it. `make verify` runs them all and writes this
page anew, tables and pictures included; `python benchmarks/verify CASE` runs one. A case is a module of
`benchmarks/verify`: a docstring, a `run`, one table, one figure.

Aim: relative L2 at most {TARGET:g} percent at the sampling that `seisflow check` recommends, envelope and phase misfit
(EM, PM; Kristekova et al. 2009, global, by ObsPy's `tf_misfit`) at most {TARGET_TF:g} percent. Points are per shortest
S wavelength, where the spectrum of the source is 5 percent of its largest. What misses the aim is said below, and why.
"""


def section(name: str, case: Case, seconds: float) -> str:
    """A section of the page."""
    title, _, text = importlib.import_module(name).__doc__.partition("\n")
    lines = [f"## {title.rstrip('.')}", "", text.strip(), "", f"**{case.headline}**", ""]
    lines += ["| " + " | ".join(case.columns) + " |", "|" + "---|" * len(case.columns)]
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in case.rows]
    lines += [
        "",
        f"![{title.rstrip('.')}](pictures/verify_{name}.png)",
        "",
        f"{seconds:.0f} s of processor time.",
        "",
    ]
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, str):
        return value
    number = float(value)  # type: ignore[arg-type]
    if number == int(number) and abs(number) < 1e6:
        return f"{number:.0f}"
    return f"{number:.3f}" if abs(number) < 1.5 else f"{number:.2f}" if abs(number) < 100 else f"{number:.0f}"


def mark(name: str) -> tuple[str, str]:
    """Comments around a section."""
    return f"<!-- case {name} -->", f"<!-- end {name} -->"


def main() -> None:
    """Run cases and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], default=list(CASES))
    parser.add_argument("--quick", action="store_true", help="small versions")
    parser.add_argument("--no-page", action="store_true", help="print only")
    given = parser.parse_args()
    for name in given.cases or CASES:
        began = time.process_time()
        try:
            case = importlib.import_module(name).run(given.quick)
        except Skipped as reason:
            print(f"{name}: skipped, {reason}", flush=True)
            continue
        seconds = time.process_time() - began
        print(f"{name}: {case.headline} ({seconds:.0f} s of processor time)", flush=True)
        for row in case.rows:
            print("  " + "  ".join(map(_cell, row)), flush=True)
        if not given.no_page:
            publish(name, case, seconds)


def publish(name: str, case: Case, seconds: float) -> None:
    """Put a section and its picture into the docs."""
    from seisflow.report.style import write_png

    write_png(case.figure, PICTURES / f"verify_{name}.png", dots_per_inch=110)
    sections = {}
    old = PAGE.read_text() if PAGE.is_file() else ""
    for each in CASES:
        start, end = mark(each)
        if start in old:
            sections[each] = old.partition(start)[2].partition(end)[0].strip("\n")
    sections[name] = section(name, case, seconds)
    times = [_seconds(text) for text in sections.values()]
    total = f"\nAll together {sum(times) / 60:.1f} minutes of processor time.\n"
    missing = [each for each in CASES if each not in sections]
    if missing:
        total += f"\n**Not run to the end yet**, so without a section: {', '.join(missing)}.\n"
    parts = [HEAD + total]
    for each in CASES:
        if each in sections:
            start, end = mark(each)
            parts.append(f"{start}\n{sections[each].strip()}\n{end}\n")
    PAGE.write_text("\n".join(parts))


def _seconds(text: str) -> float:
    words = [line for line in text.splitlines() if line.endswith("s of processor time.")]
    return float(words[-1].split()[0]) if words else 0.0


if __name__ == "__main__":
    main()
