"""Scripts for sh as trees, by tree-sitter-bash, which is loaded when the first script with an expression is read."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Language, Node


@cache
def _language() -> Language:
    """Return the grammar."""
    import tree_sitter  # noqa: PLC0415 - 14 ms that only scripts with expressions pay
    import tree_sitter_bash  # noqa: PLC0415 - the same

    return tree_sitter.Language(tree_sitter_bash.language())


def parse(script: bytes) -> Node:
    """Return the root of the tree of a script in UTF-8."""
    import tree_sitter  # noqa: PLC0415 - as above

    return tree_sitter.Parser(_language()).parse(script).root_node  # a parser has state, so threads share none


def node_at(root: Node, start: int, end: int) -> Node:
    """Return the smallest node that covers the bytes from `start` to `end`."""
    node = root.descendant_for_byte_range(start, end)
    return root if node is None else node


def ancestors(node: Node) -> Iterator[Node]:
    """Go from `node` itself up to the root."""
    at: Node | None = node
    while at is not None:
        yield at
        at = at.parent


def by_kind(root: Node) -> dict[str, list[Node]]:
    """Return all nodes of a tree by their kind."""
    found: dict[str, list[Node]] = {}
    pending = [root]
    while pending:
        one = pending.pop()
        found.setdefault(one.type, []).append(one)
        pending.extend(one.children)
    return found


def descendants(node: Node, kind: str) -> Iterator[Node]:
    """Go over all nodes of a kind at or below `node`."""
    pending = [node]
    while pending:
        one = pending.pop()
        if one.type == kind:
            yield one
        pending.extend(reversed(one.children))


def text_of(node: Node) -> str:
    """Return the source of a node."""
    return (node.text or b"").decode()
