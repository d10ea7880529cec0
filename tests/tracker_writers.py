"""Small writers of trackers' formats, for tests that need many runs or broken ones.

Their framing is proven against files of the real writers in `units/tables/test_trackers.py`.
"""

import json
import sqlite3
import struct
import zlib
from contextlib import closing

from scalefit.tables.trackers.crc32c import crc32c

WANDB_HEADER = b":W&B\xe1\xbe\x00"
_BLOCK = 32 * 1024


def varint(value):
    value &= 2**64 - 1
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])


def field(number, value):
    """One field of a protocol buffer: an integer, or bytes of a text, a message or a double."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def wandb_frames(records):
    """Records as LevelDB's log keeps them, cut where a block of 32 KiB ends."""
    out = bytearray(WANDB_HEADER)
    for record in records:
        at, first = 0, True
        while first or at < len(record):
            room = _BLOCK - len(out) % _BLOCK
            if room < 7:
                out += bytes(room)
                room = _BLOCK
            piece = record[at : at + room - 7]
            at += len(piece)
            kind = {(True, True): 1, (True, False): 2, (False, False): 3, (False, True): 4}[
                first, at == len(record)
            ]
            crc = zlib.crc32(piece, zlib.crc32(bytes([kind])))
            out += struct.pack("<IHB", crc, len(piece), kind) + piece
            first = False
    return bytes(out)


def wandb_log(name, config, rows):
    """A run of W&B: `rows` are dicts with `_step`."""

    def items(values):
        return b"".join(
            field(1, field(1, key) + field(16, json.dumps(value))) for key, value in values.items()
        )

    def history(row):
        return b"".join(
            field(1, field(2, key) + field(16, json.dumps(value))) for key, value in row.items()
        )

    run = field(1, name + "-id") + field(3, "demo") + field(4, items(config)) + field(8, name)
    return wandb_frames([field(17, run), *(field(2, history(row)) for row in rows)])


def masked(data):
    crc = int(crc32c([data])[0])
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def tfrecord(event):
    length = struct.pack("<Q", len(event))
    return length + masked(length) + event + masked(event)


def tensorboard_log(config, rows):
    """Events of TensorBoard: hparams, then the scalars of `rows`, dicts with `_step`."""
    events = [field(1, 1.0) + field(3, "brain.Event:2")]
    pairs = b"".join(
        field(1, field(1, key) + field(2, field(2, float(value)))) for key, value in config.items()
    )
    content = field(3, pairs)
    metadata = field(9, field(1, field(1, "hparams") + field(2, content)))
    events.append(field(5, field(1, field(1, "_hparams_/session_start_info") + metadata)))
    for row in rows:
        values = b"".join(
            field(1, field(1, tag) + b"\x15" + struct.pack("<f", value))
            for tag, value in row.items()
            if tag != "_step"
        )
        events.append(field(2, row["_step"]) + field(5, values))
    return b"".join(map(tfrecord, events))


def mlflow_runs(path, empty, runs):
    """A database of MLflow at `path` with these runs, in the schema of a real one."""
    path.write_bytes(empty.read_bytes())
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN")
        for table in ("metrics", "params", "tags", "runs"):
            database.execute(f"DELETE FROM {table}")
        for place, (name, config, rows) in enumerate(runs):
            run = f"{place:032d}"
            database.execute(
                "INSERT INTO runs (run_uuid, name, experiment_id, lifecycle_stage)"
                " VALUES (?, ?, 1, 'active')",
                (run, name),
            )
            for key, value in config.items():
                database.execute(
                    "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
                    (key, str(value), run),
                )
            for row in rows:
                for key, value in row.items():
                    if key != "_step":
                        database.execute(
                            "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan)"
                            " VALUES (?, ?, 0, ?, ?, 0)",
                            (key, value, run, row["_step"]),
                        )
        database.execute("COMMIT")
