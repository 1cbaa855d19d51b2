"""Every command there is, by name, with the module that it loads from."""

from __future__ import annotations

from windlass.cli.command import Family, Lazy

COMMANDS: dict[str, Lazy | Family] = {
    "up": Lazy("windlass.cli.up", "Own the store, serve it and run jobs, until stopped."),
    "exec": Lazy("windlass.cli.exec", "Run a manifest here and now, with live progress."),
    "job": Family(
        "Define jobs and look at them.",
        {
            "apply": Lazy("windlass.cli.job.apply", "Store the jobs, policies and templates of files."),
            "lint": Lazy("windlass.cli.job.lint", "Check files and report every error at once."),
            "diff": Lazy("windlass.cli.job.diff", "Show what apply would change."),
            "get": Lazy("windlass.cli.job.get", "Show a job."),
            "list": Lazy("windlass.cli.job.list", "List jobs."),
            "delete": Lazy("windlass.cli.job.delete", "Delete a job; its runs stay."),
            "enable": Lazy("windlass.cli.job.enable", "Let jobs be started again."),
            "disable": Lazy("windlass.cli.job.disable", "Let jobs not be started."),
            "history": Lazy("windlass.cli.job.history", "List the revisions of a job."),
            "compare": Lazy("windlass.cli.job.compare", "Show how one revision differs from another."),
            "rollback": Lazy("windlass.cli.job.rollback", "Go back to an earlier revision."),
            "tag": Lazy("windlass.cli.job.tag", "Name a revision."),
            "export": Lazy("windlass.cli.job.export", "Print jobs as manifests or as a bundle."),
            "import": Lazy("windlass.cli.job.import_", "Store jobs of bundles and exports of other systems."),
            "convert": Lazy("windlass.cli.job.convert", "Print jobs in their canonical form."),
            "schema": Lazy("windlass.cli.job.schema", "Print the JSON Schema of manifests."),
            "preview": Lazy("windlass.cli.job.preview", "Show what a run would do, without starting it."),
            "graph": Lazy("windlass.cli.job.graph", "Draw the steps of a job."),
        },
    ),
    "run": Family(
        "Start runs and follow them.",
        {
            "start": Lazy("windlass.cli.run.start", "Start a run of a job."),
            "list": Lazy("windlass.cli.run.list", "List runs, newest first."),
            "get": Lazy("windlass.cli.run.get", "Show a run and its tasks."),
            "watch": Lazy("windlass.cli.run.watch", "Follow a run to its end."),
            "logs": Lazy("windlass.cli.run.logs", "Print the output of a run's steps."),
            "cancel": Lazy("windlass.cli.run.cancel", "Ask a run to stop."),
            "retry": Lazy("windlass.cli.run.retry", "Run a final run again."),
            "diff": Lazy("windlass.cli.run.diff", "Show how one run differs from another."),
            "resume": Lazy("windlass.cli.run.resume", "Run what is left of a final run, and keep the rest."),
            "delete": Lazy("windlass.cli.run.delete", "Delete runs with their logs and files."),
            "note": Lazy("windlass.cli.run.note", "Put a note on a run."),
            "graph": Lazy("windlass.cli.run.graph", "Draw the steps of a run with their states."),
            "why": Lazy("windlass.cli.run.why", "Say why a run or a step is in its state."),
            "artifacts": Lazy("windlass.cli.run.artifacts", "List the files that a run kept, or fetch one."),
        },
    ),
    "event": Family(
        "Look at what happened, and tell what happened elsewhere.",
        {
            "list": Lazy("windlass.cli.event.list", "List past events."),
            "tail": Lazy("windlass.cli.event.tail", "Print events as they come."),
            "send": Lazy("windlass.cli.event.send", "Tell an event that steps wait for."),
        },
    ),
    "queue": Family(
        "Look after where tasks wait, and those that failed for good.",
        {
            "list": Lazy("windlass.cli.queue.list", "List queues."),
            "pause": Lazy("windlass.cli.queue.pause", "Hand out nothing of queues."),
            "resume": Lazy("windlass.cli.queue.resume", "Hand out tasks of queues again."),
            "dead": Lazy("windlass.cli.queue.dead", "List tasks that failed for good."),
            "requeue": Lazy("windlass.cli.queue.requeue", "Queue such tasks again."),
            "limit": Lazy("windlass.cli.queue.limit", "Say how many tasks of a queue run at one time."),
        },
    ),
    "worker": Family(
        "Run tasks for a server, and look after who does.",
        {
            "list": Lazy("windlass.cli.worker.list", "List workers."),
            "get": Lazy("windlass.cli.worker.get", "Show a worker, with what it can do."),
            "drain": Lazy("windlass.cli.worker.drain", "Have a worker take no more."),
            "slots": Lazy("windlass.cli.worker.slots", "Say how many attempts a worker runs at one time."),
        },
        Lazy("windlass.cli.worker.work", "Run tasks for a server, until stopped."),
    ),
    "maintenance": Family(
        "Stop handing tasks out, and go on.",
        {
            "on": Lazy("windlass.cli.maintenance.on", "Start nothing; what runs goes on."),
            "off": Lazy("windlass.cli.maintenance.off", "Start tasks again."),
        },
    ),
    "policy": Family(
        "Look at the policies that `job apply` stored.",
        {
            "list": Lazy("windlass.cli.policy.list", "List retention policies."),
            "get": Lazy("windlass.cli.policy.get", "Show a policy."),
            "delete": Lazy("windlass.cli.policy.delete", "Delete a policy."),
        },
    ),
    "template": Family(
        "Look at the templates that `job apply` stored.",
        {
            "list": Lazy("windlass.cli.template.list", "List templates."),
            "get": Lazy("windlass.cli.template.get", "Show a template."),
            "delete": Lazy("windlass.cli.template.delete", "Delete a template."),
        },
    ),
    "secret": Family(
        "Keep secrets for steps, sealed.",
        {
            "list": Lazy("windlass.cli.secret.list", "List secrets, without their values."),
            "get": Lazy("windlass.cli.secret.get", "Show what is known of a secret."),
            "set": Lazy("windlass.cli.secret.set", "Keep a secret, or change its value."),
            "delete": Lazy("windlass.cli.secret.delete", "Forget secrets."),
        },
    ),
    "keys": Family(
        "Look after the keys under which secrets are sealed.",
        {
            "create": Lazy("windlass.cli.keys.create", "Make a master key in the key file."),
            "rotate": Lazy("windlass.cli.keys.rotate", "Seal under newer keys, while everything works."),
            "verify": Lazy("windlass.cli.keys.verify", "Open everything that is sealed, and tell what does not open."),
        },
    ),
    "audit": Family(
        "See who did what, and that nobody changed what is told of it.",
        {
            "list": Lazy("windlass.cli.audit.list", "List what people and tokens did, newest first."),
            "verify": Lazy("windlass.cli.audit.verify", "Go along the chain of all entries."),
            "export": Lazy("windlass.cli.audit.export", "Print all entries with their codes, one a line."),
        },
    ),
    "archive": Family(
        "Look after runs that have left the hot store.",
        {
            "run": Lazy("windlass.cli.archive.run", "Let every run leave now whose retention is over."),
            "list": Lazy("windlass.cli.archive.list", "List archived runs, newest first."),
            "restore": Lazy("windlass.cli.archive.restore", "Bring a run back from the archive."),
            "adopt": Lazy("windlass.cli.archive.adopt", "Make archives this store's, after it was restored."),
        },
    ),
    "db": Family(
        "Look after the database.",
        {
            "upgrade": Lazy("windlass.cli.db.upgrade", "Bring the database to the schema of this version."),
            "check": Lazy("windlass.cli.db.check", "Check that the database is sound."),
            "backup": Lazy("windlass.cli.db.backup", "Copy the store to a folder, while it works."),
            "restore": Lazy("windlass.cli.db.restore", "Put a backup in the place of the database."),
            "copy": Lazy("windlass.cli.db.copy", "Copy the store from SQLite to PostgreSQL."),
            "forget-home": Lazy("windlass.cli.db.forget_home", "Wait no more for files in a home that is gone."),
        },
    ),
    "config": Lazy("windlass.cli.config", "Show every setting, its value and where it came from."),
    "doctor": Lazy("windlass.cli.doctor", "Find out what is wrong with this installation."),
    "version": Lazy("windlass.cli.version", "Print the version."),
}
