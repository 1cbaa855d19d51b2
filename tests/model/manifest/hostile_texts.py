"""Texts that are made to hurt, with the sentence that each is refused with."""

from __future__ import annotations

from collections.abc import Callable

HEAD = "apiVersion: v1\nkind: Job\nmetadata: {alias: a}\n"
ONE = "steps:\n- {name: s, run: x}\n"


def laughs(depth: int) -> str:
    """Return a text whose aliases stand for nine times as much with every line."""
    first = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    names = "abcdefghijk"
    return first + "".join(
        f"{names[level + 1]}: &{names[level + 1]} [{', '.join([f'*{names[level]}'] * 9)}]\n" for level in range(depth)
    )


def steps(count: int, more: Callable[[int], str] = lambda _: "") -> str:
    """Return `count` steps."""
    return "steps:\n" + "".join(f"- {{name: s{number}, run: x{more(number)}}}\n" for number in range(count))


def names(first: int, last: int) -> list[str]:
    """Return the names of steps from `first` to before `last`."""
    return [f"s{number}" for number in range(first, last)]


#: Texts, and how the only finding, or the first of several, begins.
TEXTS: dict[str, tuple[str | bytes, str]] = {
    "open brackets": ("[" * 100_000, "1:65: values are nested more than 64 deep, the limit"),
    "brackets": ("[" * 100_000 + "]" * 100_000, "1:65: values are nested more than 64 deep, the limit"),
    "brackets in JSON": (
        '{"a":' + "[" * 100_000 + "]" * 100_000 + "}",
        "1:69: values are nested more than 64 deep, the limit",
    ),
    "braces": ("{" * 100_000, "1:65: values are nested more than 64 deep, the limit"),
    "dashes": ("- " * 100_000, "1:129: values are nested more than 64 deep, the limit"),
    "questions": ("? " * 100_000, "1:129: values are nested more than 64 deep, the limit"),
    "stairs": (
        "\n".join(" " * level + "a:" for level in range(500)) + "\n",
        "65:65: values are nested more than 64 deep, the limit",
    ),
    "deep parameters": (
        HEAD + "parameters: {p: " + "{type: array, items: " * 100 + "{}" + "}" * 101 + "\n" + ONE,
        "4:1319: values are nested more than 64 deep, the limit",
    ),
    "billion laughs": (laughs(9), "4:8: aliases are replaced more than 100 times, the limit"),
    "many aliases": (
        "a: &a [x]\nb: [" + "*a, " * 101 + "]\n",
        "2:405: aliases are replaced more than 100 times, the limit",
    ),
    "large aliases": (
        f'a: &a "{"x" * 1_000_000}"\nb: [' + "*a, " * 90 + "]\n",
        "2:37: aliases repeat more than 8,388,608 characters, the limit",
    ),
    "aliases of many values": (
        "a: &a [" + "1, " * 200_000 + "]\nb: [" + "*a, " * 90 + "]\n",
        "2:17: the text has more than 1,000,000 values, the limit",
    ),
    "an alias inside of itself": ("a: &a [*a]\n", "1:8: the alias *a stands inside of what it names"),
    "many values": ("[" + "1, " * 1_000_001 + "]", "1:2999999: the text has more than 1,000,000 values, the limit"),
    "too large": ("#" * 8_388_609, "1:1: the text has 8,388,609 bytes, over the limit of 8,388,608"),
    "too large in UTF-8": ("é" * 4_194_305, "1:1: the text has 8,388,610 bytes, over the limit of 8,388,608"),
    "nothing but documents": ("---\n" * 200_000, "1:1: the text holds no document"),
    "nothing but spaces": (" " * 4_000_000, "1:1: the text holds no document"),
    "a long word": ("x" * 4_000_000, "1:1: a document must be a mapping with apiVersion and kind, not"),
    "a long number": (HEAD + "priority: " + "9" * 1_000_000 + "\n" + ONE, "4:11: the integer 999999999999999999"),
    "a large exponent": (HEAD + "timeout: 1e" + "9" * 100_000 + "\n" + ONE, "4:10: the number 1e9999999999999999"),
    "a long quote": ('"' + "\\n" * 1_000_000, "1:2000002: this is no YAML: found unexpected end of stream"),
    "many unknown keys": (
        HEAD + ONE + "".join(f"key{number}: 1\n" for number in range(50_000)),
        '6:1: unknown key "key0"',
    ),
    "many duplicate keys": (HEAD + ONE + "queue: a\n" * 50_000, '7:1: duplicate key "queue"'),
    "many tags": (HEAD + "queue: [" + "!x a, " * 50_000 + "]\n" + ONE, "4:9: tags such as !x are not allowed"),
    "too many steps": (HEAD + steps(20_001), "4:1: the job has 20,001 steps, over the limit of 20,000"),
    "too many edges": (
        HEAD
        + steps(
            7000,
            lambda number: f", dependsOn: [{', '.join(f's{other}' for other in range(max(0, number - 30), number))}]",
        ),
        "4:1: the job has 209,535 edges, over the limit of 200,000",
    ),
    "a long cycle": (
        HEAD + steps(20_000, lambda number: f", dependsOn: s{(number + 1) % 20_000}"),
        "5:3: the steps wait for each other in a cycle: s0 -> s19999 -> s19998 -> s19997 -> s19996 -> s19995 -> s19994",
    ),
    "many unknown edges": (
        HEAD + steps(3000, lambda number: f", dependsOn: [a{number}, b{number}, c{number}]"),
        '5:34: dependsOn names an unknown step "a0"',
    ),
    "a large matrix": (
        HEAD
        + "steps:\n- {name: s, run: x, matrix: {"
        + ", ".join(f"a{number}: [1, 2, 3]" for number in range(10))
        + "}}\n",
        "5:21: the matrix makes 59,049 tasks, over the limit of 20,000",
    ),
    "large defaults": (
        HEAD + f'defaults: {{env: {{A: "{"x" * 100_000}"}}}}\n' + steps(1000),
        "5:1: defaults and volumes, put into every step, have 100,016,000 bytes, over the limit of 33,554,432",
    ),
    "a large pattern": (
        HEAD + 'parameters: {p: {type: string, pattern: "((((a{1,100}){1,100}){1,100}){1,100})"}}\n' + ONE,
        "4:41: the pattern is no regular expression",
    ),
    "a long cron": (
        HEAD + 'trigger: {type: cron, configuration: {cron: "' + "*/1," * 3000 + '* * * * *"}}\n' + ONE,
        "4:45: cron must have five fields",
    ),
    "a zone outside of the zones": (
        HEAD + 'trigger: {type: cron, configuration: {cron: "* * * * *", timezone: "../../etc/passwd"}}\n' + ONE,
        '4:68: unknown time zone "../../etc/passwd"',
    ),
    "a long zone": (
        HEAD + f'trigger: {{type: cron, configuration: {{cron: "* * * * *", timezone: "{"x" * 100_000}"}}}}\n' + ONE,
        '4:68: unknown time zone "xxxx',
    ),
    "bytes that are no text": (b"a: " + b"\xff" * 1_000_000, "1:4: byte 0xff is not UTF-8"),
    "NULs": ("\0" * 1_000_000, "1:1: the text holds a NUL character"),
    "an object": (
        'a: !!python/object/apply:os.system ["touch /pwned"]\n',
        "1:4: tags such as !!python/object/apply:os.",
    ),
    "a matrix without end": (
        HEAD
        + "steps:\n- {name: s, run: x, matrix: {"
        + ", ".join(f"a{number}: [1, 2]" for number in range(20_000))
        + "}}\n",
        "5:21: the matrix makes 1,000,000,000,000 or more tasks, over the limit of 20,000",
    ),
    "many expressions": (
        HEAD + ONE.replace("run: x", "run: '" + " ${{ run.id }}" * 200_000 + "'"),
        "5:18: a script with expressions may have 32,768 bytes and 200 expressions; put parts of it into files",
    ),
    "many arguments": (
        HEAD + ONE.replace("run: x", f"command: [{'env, ' * 50_000}'${{{{ run.id }}}}']"),
        "5:22: a command with expressions may have 1,000 arguments, not 50,001; pass them by a file",
    ),
    "commands within commands": (
        HEAD + ONE.replace("run: x", f"command: [{'env, ' * 500}sh, -c, '${{{{ run.id }}}}']"),
        "5:2531: ${{ run.id }} stands behind more than 16 commands within commands; put them into a file",
    ),
    "finds within finds": (
        HEAD + ONE.replace("run: x", f"run: '{'find -exec ' * 16}sh -c ${{{{ run.id }}}}'"),
        "5:18: line 1: ${{ run.id }} stands in the code of find -exec",
    ),
    "more finds within finds": (
        HEAD + ONE.replace("run: x", f"run: '{'find -exec ' * 2000}sh -c ${{{{ run.id }}}}'"),
        "5:18: line 1: ${{ run.id }} stands behind more than 16 commands within commands; put them into a file",
    ),
    "deep choices": (
        HEAD + ONE.replace("x}", f"x, when: '${{{{ {'true ? true : ' * 300}true }}}}'}}"),
        "5:27: ${{ true ? true : true ? true : true ? true : true ? true : true ? true : true ? tru... }}: it is",
    ),
    "deep brackets": (
        HEAD + ONE.replace("x}", f"x, when: '${{{{ {'(' * 3000}true{')' * 3000} }}}}'}}"),
        "5:27: ${{ ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((... }}: it is",
    ),
    "a long cause": (
        HEAD + f"retry: {{on: ['exit:{'1,' * 100_000}']}}\n" + ONE,
        '4:14: on[0] must be exit, exit:75,111, error, connection or timeout, not "exit:1,1,1,1,',
    ),
    "steps that name each other from afar": (
        HEAD
        + "steps:\n"
        + "".join(
            f"- {{name: s-{number}, run: 'echo ${{{{ steps.s_{number // 2}.state }}}}', dependsOn: s-{number - 1}}}\n"
            for number in range(1, 10_000)
        ),
        '5:20: ${{ steps.s_0.state }}: unknown step "s_0"',
    ),
}
