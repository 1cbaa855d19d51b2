"""Every metric of Windlass: its name, kind and meaning."""

from __future__ import annotations

from typing import Final

from windlass.model.metric import Family
from windlass.store.meter import SECONDS, UNITS

#: Seconds that something waits or runs: from a light step to a long night.
DURATIONS: Final = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
#: Seconds between ready and started: promises are made in milliseconds here.
DELAYS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0, 3600.0)

#: Counted from the events of the store since this process owns it.
HISTORY: Final = (
    Family("windlass_runs_created_total", "counter", "Runs that were accepted", ("job",)),
    Family("windlass_runs_ended_total", "counter", "Runs that ended, by the state they ended in", ("job", "state")),
    Family("windlass_tasks_ended_total", "counter", "Tasks that ended, by the state they ended in", ("job", "state")),
    Family(
        "windlass_runs_repaired_total", "counter", "Runs that nobody would have moved, and were put right", ("job",)
    ),
    Family(
        "windlass_runs_sla_missed_total",
        "counter",
        "Times that a run did not end when the `sla` of its job promises",
        ("job",),
    ),
    Family("windlass_tasks_cached_total", "counter", "Tasks that took an earlier result of the same content", ("job",)),
    Family(
        "windlass_tasks_cache_missed_total",
        "counter",
        "Attempts of steps with `cache` that were started because no earlier result could be taken",
        ("job",),
    ),
    Family("windlass_attempts_started_total", "counter", "Attempts that were started", ("job",)),
    Family("windlass_attempts_ended_total", "counter", "Attempts that ended, by their outcome", ("job", "outcome")),
    Family("windlass_output_bytes_total", "counter", "Bytes that steps wrote, of attempts that ended", ("job",)),
    Family("windlass_log_bytes_total", "counter", "Bytes kept of what steps wrote, of attempts that ended", ("job",)),
    Family("windlass_attempts_cpu_seconds_total", "counter", "CPU time used by attempts that ended", ("job",)),
    Family(
        "windlass_run_start_delay_seconds",
        "histogram",
        "Time from when a run was accepted, or its not-before time if later, to its first start",
        ("job",),
        DELAYS,
    ),
    Family("windlass_run_duration_seconds", "histogram", "Time from a run's start to its end", ("job",), DURATIONS),
    Family(
        "windlass_task_queue_seconds",
        "histogram",
        "Time from when a task was ready to its first start, of tasks that ended",
        ("job",),
        DELAYS,
    ),
    Family("windlass_attempt_duration_seconds", "histogram", "Running time of attempts", ("job",), DURATIONS),
)
#: Read from the store when asked for.
STANDING: Final = (
    Family("windlass_runs", "gauge", "Runs that are not final, by state", ("state",)),
    Family("windlass_queue_tasks", "gauge", "Tasks that are not final, by queue and state", ("queue", "state")),
    Family(
        "windlass_queue_oldest_seconds",
        "gauge",
        "Of queued tasks how long the first has been due, of running ones how long the first has run, of scheduled "
        "and waiting ones how far the first is past its time",
        ("queue", "state"),
    ),
    Family("windlass_workers", "gauge", "Workers that live: running, draining, ending or silent", ("pool", "state")),
    Family("windlass_worker_slots", "gauge", "Attempts that the workers that take work can run at one time", ("pool",)),
    Family("windlass_worker_slots_used", "gauge", "Slots of theirs that are taken", ("pool",)),
    Family(
        "windlass_duty_since_timestamp_seconds",
        "gauge",
        "Since when one of all servers on the store does this without a break; none where nobody does",
        ("duty",),
    ),
    Family("windlass_cache_entries", "gauge", "Results of steps that the step cache keeps"),
    Family("windlass_cache_bytes", "gauge", "Bytes of the files of these results"),
    Family("windlass_events_uncounted", "gauge", "Rows of the event table that counters do not hold yet"),
)
#: Of this process since it started.
OWN: Final = (
    Family("windlass_store_transaction_seconds", "histogram", "Time of a write transaction", (), SECONDS),
    Family("windlass_store_flush_seconds", "histogram", "Time of its commit alone, the flush to disk", (), SECONDS),
    Family("windlass_store_transaction_units", "histogram", "Units of work that shared a transaction", (), UNITS),
    Family(
        "windlass_archive_runs_total",
        "counter",
        "Runs that left the store: archived, or deleted by a policy; that stayed because their copy did not read back "
        "(failed); that left the archive (ended)",
        ("result",),
    ),
    Family("windlass_archive_bytes_total", "counter", "Bytes that the archive took"),
    Family(
        "windlass_archive_sweeps_total",
        "counter",
        "Looks at what has to leave, each WINDLASS_CLEANUP_INTERVAL: that came to their end, or did not (broken)",
        ("result",),
    ),
    Family(
        "windlass_archive_last_success_timestamp_seconds",
        "gauge",
        "When such a look last came to its end without a run that failed",
    ),
    Family("windlass_archive_runs", "gauge", "Runs that the archive holds, as of the last look"),
    Family("windlass_archive_bytes", "gauge", "Bytes of them without their files, as of the last look"),
    Family("windlass_archive_files", "gauge", "Files of them, each content once, as of the last look"),
    Family("windlass_archive_file_bytes", "gauge", "Bytes of these files, as of the last look"),
    Family("windlass_archive_oldest_timestamp_seconds", "gauge", "When the first of them ended, as of the last look"),
    Family(
        "windlass_retention_oldest_timestamp_seconds",
        "gauge",
        "When the oldest final run ended that the store itself still has, as of the last look",
    ),
    Family("windlass_disk_free_bytes", "gauge", "Free space of the disk of the store that has the least"),
    Family("windlass_disk_reserve_bytes", "gauge", "Free space below which nothing new is taken"),
    Family("windlass_disk_used_bytes", "gauge", "Bytes that database and files take, where there is a quota"),
    Family("windlass_disk_quota_bytes", "gauge", "Bytes that they may take, where there is a quota"),
    Family("windlass_disk_short", "gauge", "1 while nothing new is taken for want of room, else 0", ("what",)),
    Family(
        "windlass_duty_held",
        "gauge",
        "1 where this process does what only one of all servers on a store does, else 0",
        ("duty",),
    ),
    Family("windlass_processes_started_total", "counter", "Processes that the supervisor started for steps"),
    Family("windlass_build_info", "gauge", "Always 1; the label says which version runs", ("version",)),
)
FAMILIES: Final = (*HISTORY, *STANDING, *OWN)
BY_NAME: Final = {family.name: family for family in FAMILIES}
