"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from atlas import charts, findings
from atlas.drawing import for_both

Atlas = Mapping[str, Any]

_LIMITS = (60, 12)
_LONGEST = 12
_REFUSED = 40


def page(
    atlas: Atlas,
    repeats: Sequence[Mapping[str, Any]],
    check: Mapping[str, Any] | None,
    changes: Mapping[str, int] | None,
    *,
    made: str,
    run: str,
) -> str:
    """Return the page; `made` and `run` say when, and by which run."""
    name = escape(atlas["project"])
    style = Path(__file__).with_name("page.css").read_text()
    sections = "\n".join(
        (
            _head(atlas, changes, made),
            _map(atlas),
            _imports(atlas),
            _functions(atlas, check),
            _lines(atlas),
            _repeats(repeats),
            _check(check),
            f"<footer>Made by the run {escape(run)} of the job code-atlas, with Windlass.</footer>",
        )
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Code atlas of {name}</title>
<style>
{style}</style>
</head>
<body>
{sections}
</body>
</html>
"""


def _head(atlas: Atlas, changes: Mapping[str, int] | None, made: str) -> str:
    totals = atlas["totals"]
    code = {True: 0, False: 0}
    for file in atlas["files"]:
        code[file["test"]] += file["code"]
    figures = [
        (totals["files"], "Python files"),
        (code[False], "lines of code"),
        (code[True], "lines of tests"),
        (totals["classes"], "classes"),
        (totals["functions"], "functions"),
    ]
    shown = "".join(f"<li><b>{number:,}</b><span>{what}</span></li>" for number, what in figures)
    commit = f", commit {escape(atlas['commit'])}" if atlas["commit"] else ""
    return f"""<header>
<h1>{escape(atlas["project"])}</h1>
<p class="soft">Code atlas of {escape(made)}{commit}. {escape(findings.of_changes(changes))}.</p>
<ul class="figures">{shown}</ul>
{_languages(atlas)}
</header>"""


def _languages(atlas: Atlas) -> str:
    """Return a bar of all text files by language."""
    lines = {language: seen["lines"] for language, seen in atlas["languages"].items() if seen["lines"]}
    order = sorted(lines, key=lambda language: -lines[language])
    total = sum(lines.values()) or 1
    named = [language for language in order if lines[language] >= total / 100]
    shares = [(language, lines[language]) for language in named]
    if rest := total - sum(lines[language] for language in named):
        shares.append(("everything else", rest))
    bars, key = "", ""
    for number, (language, count) in enumerate(shares):
        style = f"background:var(--accent);opacity:{max(1 - 0.17 * number, 0.12):.2f}"
        words = f"{escape(language)} {max(round(100 * count / total), 1)} %"
        bars += f'<div style="flex:{count};{style}" title="{words}"></div>'
        key += f'<li><i style="{style}"></i>{words}</li>'
    return f'<div class="languages">{bars}</div><ul class="key">{key}</ul>'


def _map(atlas: Atlas) -> str:
    return f"""<section>
<h2>{len(atlas["files"]):,} files, drawn as large as they are</h2>
<ul class="key"><li><i class="ramp"></i>from straight to winding: the most ways through one of its functions</li></ul>
{for_both(lambda width: charts.map_of_files(atlas, width))}
</section>"""


def _imports(atlas: Atlas) -> str:
    if not atlas["imports"]:
        return ""
    return f"""<section>
<h2>{findings.of_imports(atlas)}</h2>
<p class="soft">A row imports from the columns. The order is the one in which the fewest imports point up, which is left
of the diagonal and in another colour. What only type checkers import is left out.</p>
{for_both(lambda width: charts.who_imports_whom(atlas, width))}
</section>"""


def _functions(atlas: Atlas, check: Mapping[str, Any] | None) -> str:
    limits = (check["lines"], check["paths"]) if check else _LIMITS
    longest = sorted(atlas["functions"], key=lambda each: (-each["lines"], each["path"]))[:_LONGEST]
    rows = (
        (f"<code>{escape(each['name'])}</code>", f"<code>{escape(each['path'])}:{each['line']}</code>", each["lines"],
         each["paths"])
        for each in longest
    )  # fmt: skip
    return f"""<section>
<h2>{findings.of_functions(atlas)}</h2>
<p class="soft">The dashed lines are what the strict reader allows: {limits[0]} lines, {limits[1]} ways.</p>
{for_both(lambda width: charts.lengths_and_paths(atlas, limits, width))}
{_table(("longest functions", "where", "lines", "ways"), rows)}
</section>"""


def _lines(atlas: Atlas) -> str:
    key = "".join(f'<li><i class="kind-{kind}"></i>{words}</li>' for kind, words in charts.KINDS.items())
    return f"""<section>
<h2>{findings.of_documentation(atlas)}</h2>
<ul class="key">{key}</ul>
{for_both(lambda width: charts.lines_by_kind(atlas, width))}
</section>"""


def _repeats(repeats: Sequence[Mapping[str, Any]]) -> str:
    rows = (
        ("<br>".join(f"<code>{escape(place)}</code>" for place in block["places"]),
         f"<code>{escape(block['first'][:60])}</code>", block["lines"])
        for block in repeats
    )  # fmt: skip
    table = _table(("where", "begins with", "lines"), rows) if repeats else ""
    return f"<section>\n<h2>{findings.of_repeats(repeats)}</h2>\n{table}\n</section>"


def _check(check: Mapping[str, Any] | None) -> str:
    if check is None:
        return ""
    refused = check["refused"]
    rows = ((f"<code>{escape(place)}</code>", escape(why)) for place, why in refused[:_REFUSED])
    table = _table(("where", "why"), rows) if refused else ""
    more = f'<p class="soft">And {len(refused) - _REFUSED:,} more.</p>' if len(refused) > _REFUSED else ""
    return f"<section>\n<h2>{findings.of_check(check)}</h2>\n{table}{more}\n</section>"


def _table(titles: Sequence[str], rows: Iterator[Sequence[str | int]]) -> str:
    """Return a table; texts of `rows` are HTML, and columns of numbers stand to the right."""
    listed = list(rows)
    kinds = [' class="number"' if isinstance(cell, int) else "" for cell in listed[0]]
    head = "".join(f"<th{kind}>{title}</th>" for kind, title in zip(kinds, titles, strict=True))
    body = "\n".join(
        "<tr>" + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in listed
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'
