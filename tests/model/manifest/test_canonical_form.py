"""What is written in many ways means one thing: short forms, spellings and defaults become one canonical form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from windlass.model.manifest.canonical import from_job
from windlass.model.manifest.load import Document

HEAD = "apiVersion: v1\nkind: Job\nmetadata: {alias: a}\n"


def step(text: str, document: Callable[[str], Document]) -> dict[str, Any]:
    """Return the canonical form of the only step `text`."""
    return dict(document(f"{HEAD}steps:\n- {text}\n").canonical["steps"][0])


@pytest.mark.promise("C01")
@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("{name: s, run: echo}", {"type": "shell", "config": {"run": "echo"}}),
        ("{name: s, command: echo}", {"type": "shell", "config": {"run": "echo"}}),
        ("{name: s, type: shell, config: {command: echo}}", {"type": "shell", "config": {"run": "echo"}}),
        ("{name: s, run: echo, shell: bash}", {"type": "shell", "config": {"run": "echo", "shell": "bash"}}),
        ("{name: s, run: echo, workdir: x}", {"type": "shell", "config": {"run": "echo", "working_directory": "x"}}),
        ("{name: s, command: [sleep, 5]}", {"type": "process", "config": {"command": ["sleep", "5"]}}),
        ('{name: s, command: \'["a", "b"]\'}', {"type": "process", "config": {"command": ["a", "b"]}}),
        ("{name: s, type: process, config: {command: '[\"a\"]'}}", {"type": "process", "config": {"command": ["a"]}}),
        ("{name: s, image: x}", {"type": "container.docker", "config": {"image": "x"}}),
        ("{name: s, engine: podman, image: x}", {"type": "container.podman", "config": {"image": "x"}}),
        ("{name: s, type: container.podman, image: x}", {"type": "container.podman", "config": {"image": "x"}}),
        ("{name: s, image: x, command: a b}", {"type": "container.docker", "config": {"image": "x", "command": "a b"}}),
        ("{name: s, type: task, image: x}", {"type": "container.docker", "config": {"image": "x"}}),
        ("{name: s, uses: {job: x, with: {a: 1}}}", {"type": "job", "config": {"job": "x", "with": {"a": 1}}}),
        ("{name: s, type: wait, config: {duration: 1h30m}}", {"type": "wait", "config": {"duration": 5400}}),
        (
            "{name: s, run: x, config: {limits: {memory: 1MiB}, run_as: }}",
            {"type": "shell", "config": {"run": "x", "limits": {"memory": 1048576}}},
        ),
    ],
)
def test_short_forms(written: str, canonical: dict[str, Any], document: Callable[[str], Document]) -> None:
    assert step(written, document) == {"name": "s", **canonical}


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("triggerRule: all_success, branch: false, allowFailure: false, onWorkerLost: fail, cache: false", {}),
        ("when: true", {}),
        ("when: false", {"when": "${{ false }}"}),
        ("when: parameters.x == 'a'", {"when": "${{ parameters.x == 'a' }}"}),
        ('when: "${{parameters.x}}"', {"when": "${{ parameters.x }}"}),
        ("allowFailure: true", {"allowFailure": True}),
        ("onFailure: continue", {"allowFailure": True}),
        ("onFailure: stop", {}),
        ("continueOnError: true", {"allowFailure": True}),
        ("onWorkerLost: retry", {"onWorkerLost": "retry"}),
        ("timeout: 90", {"timeout": 90}),
        ("timeout: 1m30s", {"timeout": 90}),
        ('timeout: "90"', {"timeout": 90}),
        ("timeout: 90.0", {"timeout": 90}),
        ("timeout: 1500ms", {"timeout": 1.5}),
        ("retry: {attempts: 1, strategy: exponential, delay: 5s, maxDelay: 5m, jitter: true}", {}),
        ("retry: {on: [connection, exit, error]}", {}),
        ("retry: {on: timeout, attempts: 2}", {"retry": {"attempts": 2, "on": ["timeout"]}}),
        ('retry: {on: ["exit:111,75,75"]}', {"retry": {"on": ["exit:75,111"]}}),
        ("retry: {on: [exit:75, 111]}", {"retry": {"on": ["exit:75,111"]}}),
        ("retry: {on: [exit:75, exit, error, connection]}", {}),
        ("retries: 0", {}),
        ("retries: 2", {"retry": {"attempts": 3}}),
        (
            "retries: 2, retryDelay: 30s, retryBackoff: true",
            {"retry": {"attempts": 3, "delay": 30}},
        ),
        ("retries: 2, retryDelay: 30s", {"retry": {"attempts": 3, "strategy": "fixed", "delay": 30}}),
        ("env: {A: 1, B: true, C: x}", {"env": {"A": "1", "B": "true", "C": "x"}}),
        ("env: {}", {}),
        ("artifacts: out/*.csv", {"artifacts": ["out/*.csv"]}),
        ("logQuota: 64MiB", {"logQuota": 67108864}),
        ("cache: true", {"cache": {}}),
        ("cache: {key: a, ttl: 24h}", {"cache": {"key": ["a"]}}),
        ("cache: {ttl: 1h, version: 2}", {"cache": {"ttl": 3600, "version": 2}}),
        ("rateLimit: {resource: r, units: 1}", {"rateLimit": {"resource": "r"}}),
        ("matrix: {a: [1, x]}", {"matrix": {"a": [1, "x"]}}),
        ("targets: {group: web, maxParallel: 5}", {"targets": {"group": ["web"], "maxParallel": 5}}),
    ],
)
def test_one_form_for_each_field_of_a_step(
    written: str, canonical: dict[str, Any], document: Callable[[str], Document]
) -> None:
    text = f"{HEAD}rateLimits: [{{resource: r, limit: 1, window: 1s}}]\nsteps:\n- {{name: s, run: x, {written}}}\n"
    assert document(text).canonical["steps"][0] == {
        "name": "s",
        "type": "shell",
        "config": {"run": "x"},
        **canonical,
    }


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("queue: default\npriority: normal\nfailFast: false\nrequires: {pool: default}\ncallbacks: []\n", {}),
        ("priority: high\n", {"priority": 10}),
        ("priority: 5\n", {}),
        ("timeout: 2h\n", {"timeout": 7200}),
        ("description: ''\n", {}),
        ("concurrency: {strategy: queue}\n", {"concurrency": {"limit": 1}}),
        ("concurrency: {maxRuns: 2, strategy: skip}\n", {"concurrency": {"limit": 2, "strategy": "skip"}}),
        ("sla: {duration: 90m, completedBy: '06:00'}\n", {"sla": {"duration": 5400, "completedBy": "06:00"}}),
        ("requires: {labels: {os: linux, cores: 4}}\n", {"requires": {"labels": {"os": "linux", "cores": "4"}}}),
        ("retention: {runs: {}, artifacts: {days: 7}}\n", {"retention": {"artifacts": {"days": 7}}}),
        ("maxParallelTasks: 0\n", {}),
        ("parameters: {a: {}}\n", {"parameters": {"a": {"type": "string"}}}),
        ("parameters: {a: {secret: false, required: false}}\n", {"parameters": {"a": {"type": "string"}}}),
        ("parameters: {}\n", {"parameters": {}}),
        ("trigger: {type: manual}\n", {"triggers": [{"type": "manual"}]}),
        (
            "trigger: {type: cron, configuration: {schedule: '0 2 * * *', timezone: UTC, catchup: latest}}\n",
            {"triggers": [{"type": "cron", "configuration": {"cron": "0 2 * * *"}}]},
        ),
        (
            "trigger: {type: cron, configuration: {expression: '0 2 * * *', catchup: true}, defaultParams: {n: 1}}\n",
            {
                "triggers": [
                    {
                        "type": "cron",
                        "configuration": {"cron": "0 2 * * *", "catchup": "all", "defaultParams": {"n": "1"}},
                    }
                ]
            },
        ),
        (
            "trigger: {type: http, configuration: {path: /v1/hooks/x/y/, maxTimestampAge: 5m, timestampHeader: T}}\n",
            {
                "triggers": [
                    {
                        "type": "http",
                        "configuration": {"path": "x/y", "maxTimestampAge": 300, "timestampHeader": "T"},
                    }
                ]
            },
        ),
        (
            "callbacks: [{type: notification, on: succeeded, configuration: {webhook_url: 'https://x'}}]\n",
            {
                "callbacks": [
                    {"type": "notification", "on": ["completed"], "configuration": {"url": "https://x"}},
                ]
            },
        ),
    ],
)
def test_one_form_for_each_field_of_a_job(
    written: str, canonical: dict[str, Any], document: Callable[[str], Document]
) -> None:
    content = document(f"{HEAD}{written}steps:\n- {{name: s, run: x}}\n").canonical
    assert {key: content[key] for key in content if key not in ("apiVersion", "kind", "metadata", "steps")} == canonical


def test_what_originals_have_under_metadata_is_lifted(document: Callable[[str], Document]) -> None:
    under = document(
        "apiVersion: v1\nkind: Job\n"
        "metadata: {alias: a, priority: high, concurrency: {maxRuns: 1}, sla: {duration: 1h}, retries: 1,\n"
        "  retryDelay: 1s, retryBackoff: true, maxParallelTasks: 3, taskTimeout: 5m, runTimeout: 1h, cache: true,\n"
        "  rateLimits: [{resource: r, limit: 1, window: 1s}]}\n"
        "steps:\n- {name: s, run: x}\n- {name: t, run: x, timeout: 1m, cache: false}\n"
    )
    top = document(
        "apiVersion: v1\nkind: Job\nmetadata: {name: a}\npriority: 10\nconcurrency: {limit: 1}\nsla: {duration: 3600}\n"
        "retry: {attempts: 2, delay: 1}\nmaxParallelTasks: 3\ndefaults: {timeout: 300}\ntimeout: 3600\n"
        "rateLimits: [{resource: r, limit: 1, window: 1}]\n"
        "steps:\n- {name: s, run: x, cache: {}}\n- {name: t, run: x, timeout: 60}\n"
    )
    assert under.canonical == top.canonical
    assert under.digest == top.digest


@pytest.mark.parametrize("step_type", ["wait, config: {duration: 1m}", "job, config: {job: other}"])
@pytest.mark.parametrize(
    ("said", "kept", "meant"), [("", None, "retry"), ("retry", None, "retry"), ("fail", "fail", "fail")]
)
def test_a_step_that_does_nothing_itself_may_start_twice_unless_it_says_no(
    step_type: str, said: str, kept: str | None, meant: str, document: Callable[[str], Document]
) -> None:
    lost = f", onWorkerLost: {said}" if said else ""
    found = document(f"{HEAD}steps:\n- {{name: s, type: {step_type}{lost}}}\n")
    assert found.canonical["steps"][0].get("onWorkerLost") == kept
    assert found.job.steps[0].on_worker_lost == meant
    assert from_job(found.job) == found.canonical


def test_defaults_are_put_into_every_step_and_steps_win(document: Callable[[str], Document]) -> None:
    steps = document(
        f"{HEAD}defaults: {{timeout: 30m, env: {{TZ: UTC, A: '1'}}, retry: {{attempts: 3, delay: 9s}}, logQuota: 1KiB,"
        " onWorkerLost: retry}\n"
        "steps:\n- {name: s, run: x}\n"
        "- {name: t, run: x, timeout: 1m, env: {A: '2'}, retry: {attempts: 2}, onWorkerLost: fail}\n"
    ).canonical["steps"]
    assert steps[0]["env"] == {"TZ": "UTC", "A": "1"}
    assert (steps[0]["timeout"], steps[0]["logQuota"], steps[0]["onWorkerLost"]) == (1800, 1024, "retry")
    assert steps[1]["env"] == {"TZ": "UTC", "A": "2"}
    assert steps[1]["retry"] == {"attempts": 2, "delay": 9}
    assert (steps[1]["timeout"], "onWorkerLost" in steps[1]) == (60, False)


@pytest.mark.promise("C12")
@pytest.mark.parametrize(
    ("steps", "edges"),
    [
        ("[{name: a}, {name: b}, {name: c}]", [None, ["a"], ["b"]]),
        ("[{name: a, next: [b, c]}, {name: b}, {name: c}]", [None, ["a"], ["a"]]),
        ("[{name: a}, {name: b, dependsOn: a}, {name: c}]", [None, ["a"], None]),
        ("[{name: a, next: c}, {name: b, next: c}, {name: c, dependsOn: [b, a]}]", [None, None, ["a", "b"]]),
        ("[{name: c, dependsOn: [b, a]}, {name: b}, {name: a}]", [["b", "a"], None, None]),
        ("[{name: a, dependsOn: []}, {name: b}]", [[], None]),
        ("[{name: a}, {name: b, next: []}]", [[], None]),
        ("[{name: a}]", [None]),
    ],
)
def test_edges_of_both_sides_are_united_in_file_order(
    steps: str, edges: list[Any], document: Callable[[str], Document]
) -> None:
    written = [{**step, "run": "x"} for step in yaml.safe_load(steps)]
    found = document(HEAD + yaml.safe_dump({"steps": written}))
    assert [step.get("dependsOn") for step in found.canonical["steps"]] == edges
    assert [list(step.depends_on) for step in found.job.steps] == [edge or [] for edge in edges]


def test_a_branch_beside_a_short_form_is_that_step_with_a_choice(document: Callable[[str], Document]) -> None:
    tail = ", next: t}\n- {name: t, run: x}\n"
    assert document(f"{HEAD}steps:\n- {{name: s, type: branch, image: x{tail}").canonical["steps"][0] == {
        "name": "s",
        "type": "container.docker",
        "config": {"image": "x"},
        "branch": True,
    }
    long = document(f"{HEAD}steps:\n- {{name: s, type: branch, config: {{run: x}}{tail}")
    assert long.canonical["steps"][0]["type"] == "branch"
    assert long.job.steps[0].branch


def test_volumes_become_mounts_of_the_steps_that_use_them(document: Callable[[str], Document]) -> None:
    found = document(
        f"{HEAD}volumes:\n- {{name: v, sources: {{docker: {{volume: data}}, kubernetes: {{pvc: claim}}}}}}\n"
        "- {name: t, source: {tmpfs: {sizeBytes: 5}}, accessMode: RWO}\n"
        "steps:\n"
        "- {name: a, image: x, volumeMounts: [{volume: v, path: /v, readOnly: true}, {volume: t, path: /t}]}\n"
        "- {name: b, engine: kubernetes, image: x, volumeMounts: [{volume: v, path: /v, subPath: s}]}\n"
        "- {name: c, image: x, mounts: [{type: bind, source: /x, target: /y, readOnly: false}]}\n"
    ).canonical
    assert "volumes" not in found
    assert [step["config"]["mounts"] for step in found["steps"]] == [
        [
            {"volume": "v", "target": "/v", "read_only": True, "type": "volume", "source": "data"},
            {"volume": "t", "target": "/t", "type": "tmpfs", "options": {"sizeBytes": 5, "access_mode": "RWO"}},
        ],
        [{"volume": "v", "target": "/v", "sub_path": "s", "type": "pvc", "source": "claim"}],
        [{"source": "/x", "target": "/y"}],
    ]


def test_a_config_is_the_same_written_short_or_long_with_defaults_or_without(
    document: Callable[[str], Document],
) -> None:
    short = document(f"{HEAD}steps:\n- {{name: c, image: x, mounts: [{{source: /x, target: /y}}]}}\n")
    long = document(
        f"{HEAD}steps:\n- {{name: c, type: container.docker, config: {{image: x, pull_policy: missing, "
        "mounts: [{type: bind, source: /x, target: /y, read_only: false}]}}\n"
    )
    assert short.canonical == long.canonical


def test_an_absent_value_is_as_good_as_none(document: Callable[[str], Document]) -> None:
    written = document(f"{HEAD}timeout:\nqueue: null\nsteps:\n- {{name: s, run: x, env: , config: }}\n")
    assert written.digest == document(f"{HEAD}steps:\n- {{name: s, run: x}}\n").digest
