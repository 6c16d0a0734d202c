"""Every experiment of the suite by name; each makes one random trial."""

from __future__ import annotations

from tests.faults import clocks, damage, deaths, disks, moving_sources, rivals, workers
from tests.faults.laboratory import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    "kill at an event": deaths.kill_at_event,
    "terminate at an event": deaths.terminate_at_event,
    "interrupt at an event": deaths.interrupt_at_event,
    "interrupt within a statement": deaths.interrupt_within_a_statement,
    "signal from outside": deaths.strike_from_outside,
    "full disk": disks.fill_disk,
    "file size limit": disks.limit_files,
    "read-only disk": disks.freeze_disk,
    "clock jumps within": clocks.jump_within,
    "clock jumps between": clocks.jump_between,
    "files of the future": clocks.files_of_the_future,
    "vector file": damage.vector_file,
    "index file": damage.index_file,
    "text cache": damage.text_cache,
    "bank version": damage.bank_file,
    "snapshot": damage.published,
    "log of the ledger": damage.log_of_ledger,
    "ledger": damage.page_of_ledger,
    "lost ledger": damage.lost_ledger,
    "linked folder": damage.linked_folder,
    "backup": damage.rotten_backup,
    "two scans": rivals.two_scans,
    "analyst": rivals.analyst,
    "readers": rivals.readers,
    "moving source": moving_sources.change,
    "decode processes": workers.kill_decoders,
    "memory": workers.starve,
}
