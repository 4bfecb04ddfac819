"""What a run found: figures beside their targets, as Markdown and as JSON."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any

from bench.counting import Count


@dataclasses.dataclass(kw_only=True)
class Figure:
    """One thing measured: a value each round, of which the median counts, and the reference's in the same rounds.

    A target is one of the value, or one of its ratio to the reference.
    """

    name: str
    unit: str
    rounds: list[float]
    target: float | None = None
    target_ratio: float | None = None
    reference: list[float] = dataclasses.field(default_factory=list)
    lower_is_better: bool = False
    server_cpu: float | None = None
    others_cpu: float | None = None
    client_cpu: float | None = None

    @property
    def value(self) -> float:
        return statistics.median(self.rounds)

    @property
    def ratio(self) -> float | None:
        """The value for each one of the reference."""
        return self.value / statistics.median(self.reference) if self.reference else None

    @property
    def met(self) -> bool | None:
        value, target = (self.ratio, self.target_ratio) if self.target is None else (self.value, self.target)
        if value is None or target is None:
            return None
        return value <= target if self.lower_is_better else value >= target


@dataclasses.dataclass(kw_only=True)
class Workload:
    """What a workload found. `counts`: by what was counted; one bad count takes all figures with it. `loops`:
    what the machine's fixed loop took before each round, in milliseconds.
    """

    name: str
    figures: list[Figure]
    reference: str = ""
    counts: dict[str, Count] = dataclasses.field(default_factory=dict)
    loops: list[float] = dataclasses.field(default_factory=list)
    remarks: list[str] = dataclasses.field(default_factory=list)

    @property
    def good(self) -> bool:
        return all(count.good for count in self.counts.values())

    def score(self, figure: Figure) -> float:
        """What the figure is worth: 0 when anything acknowledged was lost or repeated."""
        return figure.value if self.good else 0.0

    def met(self, figure: Figure) -> bool | None:
        """Whether the target is reached, by a run that lost nothing."""
        return figure.met and self.good if figure.met is not None else None


def markdown(workloads: Sequence[Workload], head: Sequence[str]) -> str:
    """All of it, as it stands in docs/benchmarks.md."""
    return "\n\n".join([_listed(head), *(_section(workload) for workload in workloads)]) + "\n"


def renewed(printed: str, workloads: Sequence[Workload], head: Sequence[str]) -> str:
    """What an earlier run printed, with these workloads in the place of the same ones, each with its own head."""
    first, *sections = printed.rstrip("\n").split("\n\n### ")
    by_name = {each.partition("\n")[0]: "### " + each for each in sections}
    by_name |= {workload.name: _section(workload, head) for workload in workloads}
    return "\n\n".join([first, *by_name.values()]) + "\n"


def _section(workload: Workload, head: Sequence[str] = ()) -> str:
    parts = [f"### {workload.name}"]
    if head:
        parts.append(_listed(head))
    if workload.reference:
        parts.append(f"Reference: {workload.reference}.")
    parts.append(_table(workload))
    parts += [f"Counted, {what}: **{count}**." for what, count in workload.counts.items()]
    if not workload.good:
        parts.append("**Something acknowledged was lost or repeated: every figure of this workload scores 0.**")
    parts.append(f"Fixed loop before each round: {' '.join(map(_number, workload.loops))} ms.")
    return "\n\n".join(parts + workload.remarks)


def _listed(head: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in head)


def as_json(workloads: Sequence[Workload], head: Sequence[str]) -> dict[str, Any]:
    """All of it, for programs."""
    return {
        "run": list(head),
        "workloads": [
            {
                "name": workload.name,
                "reference": workload.reference,
                "good": workload.good,
                "counts": {what: dataclasses.asdict(count) for what, count in workload.counts.items()},
                "figures": [
                    {
                        **dataclasses.asdict(each),
                        "score": workload.score(each),
                        "ratio": each.ratio,
                        "met": workload.met(each),
                    }
                    for each in workload.figures
                ],
                "loops": workload.loops,
                "remarks": workload.remarks,
            }
            for workload in workloads
        ],
    }


def _table(workload: Workload) -> str:
    rows = ["| figure | median | rounds | target | met | reference | ratio | server CPU | others there | client CPU |",
            "|---|---:|---|---:|---|---:|---:|---:|---:|---:|"]  # fmt: skip
    for each in workload.figures:
        reference = _number(statistics.median(each.reference)) if each.reference else ""
        cells = [
            f"{each.name}, {each.unit}",
            f"**{_number(workload.score(each))}**",
            " ".join(map(_number, each.rounds)),
            _target(each),
            {None: "", True: "met", False: "**not met**"}[workload.met(each)],
            reference,
            "" if each.ratio is None else f"{each.ratio:.2f}",
            "" if each.server_cpu is None else f"{each.server_cpu:.0%}",
            "" if each.others_cpu is None else f"{each.others_cpu:.0%}",
            "" if each.client_cpu is None else f"{each.client_cpu:.0%}",
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _target(figure: Figure) -> str:
    side = "≤" if figure.lower_is_better else "≥"
    if figure.target is not None:
        return f"{side} {_number(figure.target)}"
    return "" if figure.target_ratio is None else f"ratio {side} {figure.target_ratio:.2f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3g}"
