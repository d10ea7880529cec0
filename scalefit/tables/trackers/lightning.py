"""Lightning's CSVLogger (litgpt's too): `version_*/metrics.csv` with `hparams.yaml` beside it.

Training and validation values of one step stand on different lines, with blanks between.

Source: files written by Lightning 2.6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from scalefit.tables.readers.base import Source
from scalefit.tables.trackers.base import TRACKERS, History, Log, Run, Tracker, as_float, is_number
from scalefit.tables.trackers.cut import add_cells, header, records, whole_lines
from scalefit.tables.trackers.nested import typed
from scalefit.tables.trackers.plain_yaml import settings_beside

_SETTINGS = ("hparams.yaml", "hyperparameters.yaml")
_VERSION = re.compile(r"version_\d+")


def claims(source: Source) -> bool:
    """A `metrics.csv` with a column `step`, in a `version_*` folder or beside `hparams.yaml`."""
    if source.path is None or source.path.name != "metrics.csv":
        return False
    folder = source.path.parent
    marked = _VERSION.fullmatch(folder.name) or any((folder / name).is_file() for name in _SETTINGS)
    return bool(marked) and "step" in header(source)


def read(log: Log) -> Iterator[Run]:
    """The run of the folder.

    Raises:
        InputError: the table is no text.
    """
    text, notes = whole_lines(log.source)
    config, more = settings_beside(log, *_SETTINGS)
    history = History()
    for row in records(text, log.source.name):
        step = typed(row.pop("step", ""))
        add_cells(history, as_float(step) if is_number(step) else float("nan"), row)
    yield Run(
        key=log.folder,
        name=log.place,
        config=config,
        history=history.series,
        notes=(*notes, *more),
    )


LIGHTNING = TRACKERS.add(
    Tracker(name="lightning", files="version_*/metrics.csv", claims=claims, read=read)
)
