"""A log as tables: a CSV or Parquet file a topic, a row a message, a column a value."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from zuluko.bus.log_writer import LogError
from zuluko.log_export.columns import ENVELOPE, MOST, Columns, row
from zuluko.log_export.part import Part
from zuluko.log_export.whole import whole

ROWS = 4096  # of a Parquet file that are held in memory

Write = Callable[[dict[str, Any]], None]
Open = Callable[[Path, dict[str, str]], AbstractContextManager[Write]]


def to_csv(part: Part, target: Path) -> Iterator[str]:
    """Writes a folder of ``topic.csv``, or one file where ``target`` ends in .csv; yields what is there."""
    return _export(part, target, ".csv", _csv)


def to_parquet(part: Part, target: Path) -> Iterator[str]:
    """As ``to_csv``, with pyarrow; raises LogError where that is not installed."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise LogError("Parquet needs pyarrow; run: pip install 'zuluko[parquet]'") from None
    return _export(part, target, ".parquet", _parquet)


def _export(part: Part, target: Path, ending: str, open_table: Open) -> Iterator[str]:
    one_file = target.suffix == ending
    if one_file and len(part.topics) != 1:
        raise LogError(
            f"{target}: {len(part.topics)} topics make a folder of files; name it without {ending}, "
            f"or choose one topic with --topic"
        )
    with whole(target) as place:
        columns = _columns(part)
        if not one_file:
            place.mkdir()
        files = _names(columns)
        paths = {topic: place if one_file else place / f"{name}{ending}" for topic, name in files.items()}
        counts = _write(part, columns, paths, open_table)
    for topic, count in counts.items():
        left = f"; only the first {MOST} columns" if columns[topic].left_out else ""
        shown = target if one_file else target / f"{files[topic]}{ending}"
        yield f"{shown}: {count} rows, {len(ENVELOPE) + len(columns[topic].kinds)} columns{left}"


def _columns(part: Part) -> dict[str, Columns]:
    found: dict[str, Columns] = {}
    for item in part:
        found.setdefault(item.topic, Columns()).add(item.body)
    return dict(sorted(found.items()))


def _names(topics: Iterable[str]) -> dict[str, str]:
    """A file's name for each topic, though a log may name them as it likes."""
    found: dict[str, str] = {}
    for topic in topics:
        plain = re.sub(r"[^\w.-]+", "_", topic).strip("._")[:100] or "topic"
        taken = {name.lower() for name in found.values()}
        number = next(n for n in range(1, len(taken) + 2) if _numbered(plain, n).lower() not in taken)
        found[topic] = _numbered(plain, number)
    return found


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


def _write(
    part: Part, columns: dict[str, Columns], paths: dict[str, Path], open_table: Open
) -> dict[str, int]:
    counts = dict.fromkeys(paths, 0)
    with ExitStack() as stack:
        tables = {
            topic: stack.enter_context(open_table(path, ENVELOPE | columns[topic].kinds))
            for topic, path in paths.items()
        }
        for item in part:
            tables[item.topic](row(item, part.start))
            counts[item.topic] += 1
    return counts


@contextmanager
def _csv(path: Path, kinds: dict[str, str]) -> Iterator[Write]:
    with path.open("x", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(kinds)
        yield lambda values: lines.writerow([_text(values.get(name)) for name in kinds])


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


@contextmanager
def _parquet(path: Path, kinds: dict[str, str]) -> Iterator[Write]:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    known = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "str": pa.string()}
    schema = pa.schema([(name, known[kind]) for name, kind in kinds.items()])
    rows: list[dict[str, Any]] = []
    with ParquetWriter(path, schema, compression="zstd") as writer:

        def flush() -> None:
            columns = [
                pa.array([_cast(one.get(name), kind) for one in rows], known[kind])
                for name, kind in kinds.items()
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            rows.clear()

        def write(values: dict[str, Any]) -> None:
            rows.append(values)
            if len(rows) == ROWS:
                flush()

        yield write
        flush()


def _cast(value: Any, kind: str) -> Any:
    if value is None or type(value).__name__ == kind:
        return value
    return float(value) if kind == "float" else str(value)
