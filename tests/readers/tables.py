"""Tables of a report in the programs that people open them with: tables.py TRACETOLL JOURNAL…

What the tables must hold is added up here from campaign.json, without tracetoll's help.
"""

import csv
import json
import math
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pandas
import pyarrow.parquet

from common import done, equal, holds, run

TABLES = ("trials", "bins")
# What names a trial in the table of bins.
TRIAL = ["run", "block", "part", "pace", "functions", "method", "position"]

# Types that a few columns must have: in pandas by way of pyarrow, and in DuckDB.
TYPES = {
    "trials": {
        "block": ("uint64[pyarrow]", "UBIGINT"),
        "method": ("string[pyarrow]", "VARCHAR"),
        "with_reference": ("bool[pyarrow]", "BOOLEAN"),
        "started": ("timestamp[us, tz=UTC][pyarrow]", "TIMESTAMP WITH TIME ZONE"),
        "worker_ns": ("uint64[pyarrow]", "UBIGINT"),
        "latency_p50_us": ("double[pyarrow]", "DOUBLE"),
    },
    "bins": {
        "start_s": ("double[pyarrow]", "DOUBLE"),
        "throughput_bytes": ("uint64[pyarrow]", "UBIGINT"),
        "shown": ("double[pyarrow]", "DOUBLE"),
    },
}
UNITS = {
    ("trials", "worker_ns"): "ns",
    ("trials", "latency_p50_us"): "µs",
    ("trials", "method"): "",
    ("bins", "length_s"): "s",
    ("bins", "throughput_bytes"): "bytes",
    ("bins", "reference_calls"): "calls",
}


class Expected:
    """Rows, nulls and sums, from the result itself."""

    def __init__(self, campaign):
        self.trials = campaign["trials"]
        self.measured = [t["outcome"]["done"] for t in self.trials if "done" in t["outcome"]]
        items = [f["name"] for f in campaign["design"]["target"]["functions"]]
        self.rows = {"trials": len(self.trials), "bins": sum(rows(m, items) for m in self.measured)}
        self.worker_ns = sum(sum(m["cpu"]["workers"]) for m in self.measured)
        self.no_kicks = len(self.trials) - sum(m["sent"]["kicks"] is not None for m in self.measured)
        self.with_reference = sum(t["with_reference"] for t in self.trials)
        self.calls = sum(sum(calls) for m in self.measured for calls in with_reference(m).values())
        self.shown = sum(sum(series["values"]) for m in self.measured for series in m["series"])
        self.throughput = sum(sum(m["throughput"]) for m in self.measured)
        self.seconds = sum(m["edges"][-1] - m["edges"][0] for m in self.measured) / 1e9


def with_reference(measured):
    """Calls per bin, by the function's place in the target."""
    functions = (measured["reference"] or {"functions": []})["functions"]
    return {at: function["calls"] for at, function in enumerate(functions) if "calls" in function}


def rows(measured, items):
    """One per bin and item that anybody saw; one per bin where nobody saw any."""
    seen = {items[at] for at in with_reference(measured)} | {s["function"] for s in measured["series"]}
    return len(measured["throughput"]) * max(1, len(seen))


def with_pandas(name, trials, bins, expected):
    """Adds up what a table holds, as pandas read it."""
    equal(f"{name}: rows", {"trials": len(trials), "bins": len(bins)}, expected.rows)
    equal(f"{name}: worker_ns", int(trials.worker_ns.sum()), expected.worker_ns)
    equal(f"{name}: trials without kicks", int(trials.kicks.isna().sum()), expected.no_kicks)
    equal(f"{name}: with_reference", int(trials.with_reference.sum()), expected.with_reference)
    equal(f"{name}: reference_calls", int(bins.reference_calls.sum()), expected.calls)
    close(f"{name}: shown", float(bins.shown.sum()), expected.shown)
    once = bins.drop_duplicates([*TRIAL, "bin"])
    equal(f"{name}: throughput_bytes", int(once.throughput_bytes.sum()), expected.throughput)
    close(f"{name}: length_s", float(once.length_s.sum()), expected.seconds)
    started = {str(pandas.Timestamp(trial["started"]).floor("us")) for trial in expected.trials}
    found = pandas.to_datetime(trials.started, utc=True).dt.floor("us")
    equal(f"{name}: started", {str(time) for time in found}, started)


def with_duckdb(name, trials, bins, expected):
    """The same, asked of the files in SQL."""
    ask = lambda sql: duckdb.sql(sql.format(trials=trials, bins=bins)).fetchone()
    found = ask("select count(*), sum(worker_ns), count(*) - count(kicks), count_if(with_reference) from '{trials}'")
    known = (expected.rows["trials"], expected.worker_ns, expected.no_kicks, expected.with_reference)
    equal(f"{name}: trials", tuple(map(int, found)), known)
    count, calls, shown = ask("select count(*), sum(reference_calls), sum(shown) from '{bins}'")
    equal(f"{name}: bins", (count, int(calls)), (expected.rows["bins"], expected.calls))
    close(f"{name}: shown", shown, expected.shown)
    keys = ", ".join([*TRIAL, "bin", "throughput_bytes"])
    once = ask(f"select sum(throughput_bytes) from (select distinct {keys} from '{{bins}}')")
    equal(f"{name}: throughput_bytes", int(once[0]), expected.throughput)


def close(what, found, expected):
    """Sums of doubles, whose order may differ."""
    holds(f"{what}: {found} is about {expected}", math.isclose(found, expected, rel_tol=1e-12))


def types_and_units(folder):
    """Parquet keeps types; units stand in the table of columns and in each file."""
    columns = pyarrow.parquet.read_table(folder / "parquet/columns.parquet").to_pylist()
    with open(folder / "csv/columns.csv", newline="", encoding="utf-8") as file:
        listed = [{**row, "unit": row["unit"] or None} for row in csv.DictReader(file)]
    equal("the tables of columns", listed, columns)
    for (table, name), unit in UNITS.items():
        found = [row["unit"] or "" for row in columns if (row["table"], row["column"]) == (table, name)]
        equal(f"unit of {name}", found, [unit])
    for table in TABLES:
        file = folder / "parquet" / f"{table}.parquet"
        kept = json.loads(pyarrow.parquet.read_metadata(file).metadata[b"tracetoll.columns"])
        own = [row for row in columns if row["table"] == table]
        told = [{"column": row["column"], "unit": row["unit"] or "", "about": row["about"]} for row in own]
        equal(f"metadata of {table}", kept, told)
        names = [row["column"] for row in own]
        equal(f"columns of {table}.parquet", pyarrow.parquet.read_schema(file).names, names)
        equal(f"columns of {table}.csv", list(pandas.read_csv(folder / "csv" / f"{table}.csv", nrows=0)), names)
        arrow = pandas.read_parquet(file, dtype_backend="pyarrow").dtypes
        sql = {row[0]: row[1] for row in duckdb.sql(f"describe select * from '{file}'").fetchall()}
        for name, (of_pandas, of_duckdb) in TYPES[table].items():
            equal(f"type of {name} in pandas", str(arrow[name]), of_pandas)
            equal(f"type of {name} in DuckDB", sql[name], of_duckdb)


def main(tracetoll, *journals):
    with TemporaryDirectory() as folder:
        folder = Path(folder)
        run(tracetoll, "merge", "--out", folder / "result", *journals)
        for form in ("csv", "parquet"):
            run(tracetoll, "report", folder / "result", "--format", form, "--out", folder / form)
        expected = Expected(json.loads((folder / "result/campaign.json").read_text()))
        holds("there are trials, calls and series", all([expected.worker_ns, expected.calls, expected.shown]))
        for form, read in (("csv", pandas.read_csv), ("parquet", pandas.read_parquet)):
            files = [folder / form / f"{table}.{form}" for table in TABLES]
            with_pandas(f"{form} in pandas", *map(read, files), expected)
            with_duckdb(f"{form} in DuckDB", *files, expected)
        types_and_units(folder)
    done("tables")


main(*sys.argv[1:])
