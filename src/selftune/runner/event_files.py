"""Scalars for TensorBoard, written without a thread or a queue, so that a full disk cannot stop the training.

tensorboardX supplies the protocol buffers and the checksum. A record is `length, checksum(length), data,
checksum(data)`, little endian: the TFRecord format (tensorflow/core/lib/io/record_writer.h).
"""

import math
import os
import socket
import struct
import time
from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from selftune.runner.appending import append


class EventFile:
    """One event file in `folder`, created by the first thing that is written."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._begun = False

    def scalars(self, values: Mapping[str, Any], step: int) -> None:
        """Write the finite numbers among `values` at `step`; anything else is left out.

        Raises:
            OSError: the disk is full or gone; nothing was written.
        """
        summary = _messages("summary").Summary
        tags = [
            summary.Value(tag=tag, simple_value=float(value))
            for tag, value in values.items()
            if isinstance(value, int | float) and math.isfinite(value)
        ]
        self._write(step=step, summary=summary(value=tags))

    def restart(self, step: int) -> None:
        """Tell TensorBoard that a resumed run goes on after `step`: what lies behind it is void."""
        session = _messages("event").SessionLog
        self._write(step=step + 1, session_log=session(status=session.START))

    @cached_property
    def _file(self) -> Path:
        return self._folder / f"events.out.tfevents.{time.time_ns() // 10**9}.{socket.gethostname()}.{os.getpid()}"

    def _write(self, **fields: Any) -> None:
        if not self._begun:
            self._append(file_version="brain.Event:2")
            self._begun = True
        self._append(**fields)

    def _append(self, **fields: Any) -> None:
        event = _messages("event").Event(wall_time=time.time(), **fields)
        append(self._file, _record(event.SerializeToString()))


def _messages(name: str) -> Any:
    """A module of message classes; they are made at import, so no type checker knows them."""
    return import_module(f"tensorboardX.proto.{name}_pb2")


def _record(data: bytes) -> bytes:
    from tensorboardX.record_writer import masked_crc32c

    length = struct.pack("<Q", len(data))
    return b"".join((length, struct.pack("<I", masked_crc32c(length)), data, struct.pack("<I", masked_crc32c(data))))
