"""`lastbatch plan`: what a workload needs, before it is started."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from diagnostics.cli.console import BAD_NEWS, OK, Json, command, page, print_json
from diagnostics.errors import UsageError
from diagnostics.report.text import size
from repro import workloads
from repro.setting import parse_settings, resolve

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def parse_bytes(text: str) -> int:
    """`512m`, `4GiB`, `1.5g` as bytes; units are powers of 1024. Raises: UsageError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    if not match:
        raise UsageError(f"{text!r} is not a size", "For example 512m or 4g")
    return int(float(match[1]) * _UNITS[match[2]])


@command
def plan(
    workload: Annotated[str, typer.Argument(help=f"One of {', '.join(workloads.names())}.", metavar="WORKLOAD")],
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="A setting; again for more.", metavar="KEY=VALUE")
    ] = None,
    memory: Annotated[
        str | None, typer.Option(help="Memory a rank: what fits into it? E.g. 4g.", metavar="SIZE")
    ] = None,
    as_json: Json = False,
) -> int:
    """Say what a workload needs: parameters, memory of each rank, bytes on the network, with the formulas.

    With --memory also the other way round: the largest batch and the fewest servers for that much memory a
    rank (beyond the idle framework; units are powers of 1024). Ends with 1 if nothing fits.

    Example: lastbatch plan gpt2 --set ps=0 --set rows=4 --set precision=mixed --memory 16g
    """
    chosen = workloads.find(workload)
    settings = resolve(f"workload {chosen.name}", workloads.settings_of(chosen), parse_settings(setting or ()))
    workloads.check(settings)
    planned = workloads.plan(chosen, settings)
    fitting = _fitting(chosen, settings, parse_bytes(memory)) if memory else None
    if as_json:
        print_json({**_document(planned), "fitting": fitting})
    else:
        _show(planned)
        if fitting:
            page.print()
            page.print(*_fitting_lines(fitting), sep="\n")
    return BAD_NEWS if fitting and 0 in (fitting["largest_batch"], fitting.get("fewest_servers", 1)) else OK


def _document(planned: workloads.Plan) -> dict[str, Any]:
    return dict(msgspec.to_builtins(planned))


def _fitting(chosen: workloads.Workload, settings: dict[str, Any], limit: int) -> dict[str, int]:
    found = {"memory": limit, "largest_batch": workloads.largest_batch(chosen, settings, limit)}
    if settings["ps"]:
        found["fewest_servers"] = workloads.fewest_servers(chosen, settings, limit)
    return found


def _fitting_lines(fitting: dict[str, int]) -> Iterator[str]:
    limit = size(fitting["memory"])
    batch = fitting["largest_batch"]
    yield (
        f"Largest batch with {limit} a rank:  {batch:,} rows" if batch else f"Not even one row fits into {limit} a rank"
    )
    if "fewest_servers" in fitting:
        servers = fitting["fewest_servers"]
        yield (
            f"Fewest servers with {limit} each: {servers:,}"
            if servers
            else f"No number of servers fits into {limit} each"
        )


def _show(planned: workloads.Plan) -> None:
    settings = ", ".join(f"{key}={str(value).lower()}" for key, value in planned.settings.items())
    page.print(Text.assemble((planned.workload, "bold"), f"  {settings}\n"))
    page.print(_terms_table("Parameters", planned.parameters, f"{planned.parameter_count:,}", bytes_=False))
    page.print()
    states = size(sum(term.value for term in planned.states))
    page.print(_terms_table("Parameters and their states, over all ranks", planned.states, states))
    for title, need in _grouped(planned.ranks):
        page.print()
        page.print(_terms_table(f"{title}, beyond the idle framework", need.terms, size(need.bytes)))
    if planned.edges:
        page.print()
        page.print(_edges_table(planned))


def _terms_table(title: str, terms: Sequence[workloads.Term], total: str, bytes_: bool = True) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim", overflow="fold")
    for term in terms:
        shown = term.formula if term.formula == term.numbers else f"{term.formula} = {term.numbers}"
        table.add_row(term.name, size(term.value) if bytes_ else f"{term.value:,}", Text(shown))
    table.add_row(Text("together", "bold"), Text(total, "bold"))
    return table


def _grouped(ranks: Sequence[workloads.Need]) -> Iterator[tuple[str, workloads.Need]]:
    """Ranks in a row with equal needs as one: `ps:0 to ps:3`."""
    for _, group in groupby(ranks, key=lambda need: (need.rank.split(":")[0], need.terms)):
        alike = list(group)
        first, last = alike[0].rank, alike[-1].rank
        yield (first if first == last else f"{first} to {last}, each"), alike[0]


def _edges_table(planned: workloads.Plan) -> Table:
    table = Table(
        title="Network, each worker's step",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
    )
    for column in ("from", "to", "tensors", "bytes"):
        table.add_column(column, justify="right" if column in ("tensors", "bytes") else "left")
    for edge in planned.edges:
        table.add_row(edge.source, edge.target, f"{edge.tensors:,}", size(edge.bytes))
    table.add_row(Text("all workers", "bold"), "", "", Text(size(planned.network_bytes), "bold"))
    return table
