"""What a chat template does, read off its syntax tree: which arguments it takes, whether it looks at the texts.

template -> syntax tree -> names that nothing in it sets; texts that are more than written

Rendering shows what a template makes of a few conversations; the tree shows what it could make of any other one. The
judgement is on the safe side: a construct that is not known to be harmless counts as looking.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

SYNTAX = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
"""Reads templates as transformers does, but for `{% generation %}` (`without_masks`)."""
MASK_TAG = re.compile(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}")
MASK_IF = 'if "generation"'
GIVEN = ("messages", "tools", "documents", "add_generation_prompt", "raise_exception", "strftime_now")
"""What every template is given: by transformers, or by whoever asks, as content."""
SPECIAL_TOKENS = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
LOOPS = ("first", "last")
COUNTERS = ("index", "index0", "revindex", "revindex0")


def without_masks(template: str) -> str:
    """The template with `if` for `{% generation %}`, which transformers understands only outside of macros."""
    return MASK_TAG.sub(lambda tag: f"{{%{tag[1]} {'endif' if tag[2] else MASK_IF} {tag[3]}%}}", template)


def has_masks(template: str) -> bool:
    """Whether it marks what the model wrote, for `return_assistant_tokens_mask`."""
    return MASK_TAG.search(template) is not None or MASK_IF in template


def arguments(template: str, special_tokens: Iterable[str]) -> tuple[str, ...]:
    """Names that the template reads, nothing in it sets and only the caller's keywords can set; dates do not count."""
    names = meta.find_undeclared_variables(SYNTAX.parse(without_masks(template)))
    tokens = {f"{name}_token" for name in SPECIAL_TOKENS} | {*special_tokens, "additional_special_tokens"}
    given = tokens | {*GIVEN, "caller", "varargs", "kwargs"}
    return tuple(sorted(name for name in names - given if "date" not in name))


def read_before_set(template: str, names: Collection[str]) -> tuple[str, ...]:
    """Those of the names that the template reads before it sets them: plainly arguments, and no slip of scope."""
    first: dict[str, str] = {}
    for node in _in_order(SYNTAX.parse(without_masks(template))):
        if isinstance(node, nodes.Name):
            first.setdefault(node.name, node.ctx)
    return tuple(name for name in names if first.get(name) == "load")


def _in_order(node: nodes.Node) -> Iterator[nodes.Node]:
    """A tree as it is carried out: what is assigned before where to."""
    children = [node.node, node.target] if isinstance(node, nodes.Assign) else list(node.iter_child_nodes())
    yield node
    for child in children:
        yield from _in_order(child)


def looks_at_texts(template: str) -> bool:
    """Whether a message's text, or the length of a conversation, may decide what else the template writes."""
    tree = SYNTAX.parse(without_masks(template))
    assigned = [node for node in tree.find_all(nodes.Assign) if isinstance(node.target, nodes.Name)]
    messages = {loop.target.name for loop in tree.find_all(nodes.For) if isinstance(loop.target, nodes.Name)}
    texts: set[str] = set()
    while True:
        reader = _Reader(messages | {"messages"}, texts)
        found = {node.target.name for node in assigned if not reader.is_value(node.node)}  # type: ignore[attr-defined]
        if found <= texts:
            return not all(reader.is_plain(node) for node in tree.body)
        texts |= found


class _Reader:
    """Goes through a tree; `texts` are variables that hold a text, `messages` those that hold messages."""

    def __init__(self, messages: Collection[str], texts: Collection[str]) -> None:
        self.messages, self.texts = messages, frozenset(texts)

    def is_plain(self, node: nodes.Node, *, conditional: bool = False) -> bool:
        """Whether a statement decides by roles and places alone, and writes the generation prompt in one form."""
        if isinstance(node, nodes.Output):
            return all(self.is_written(child) for child in node.nodes)
        if isinstance(node, nodes.Assign):
            return isinstance(node.target, nodes.Name) and self.is_written(node.node)
        if isinstance(node, nodes.For):
            of_messages = isinstance(node.target, nodes.Name) and node.test is None and not node.recursive
            plain = self._is_messages(node.iter) and not node.else_
            return of_messages and plain and all(self.is_plain(child, conditional=conditional) for child in node.body)
        if not isinstance(node, nodes.If):
            return False
        bodies = [*node.body, *node.else_, *node.elif_]
        if _names(node.test, "add_generation_prompt"):
            written = [child for body in bodies for child in getattr(body, "nodes", [body])]
            return not conditional and self._asks_for_an_answer(node.test) and all(map(_is_literal, written))
        inner = not isinstance(node.test, nodes.Const)  # a mask
        return self.is_value(node.test) and all(self.is_plain(child, conditional=inner) for child in bodies)

    def is_written(self, node: nodes.Node) -> bool:
        """Whether an expression hands texts on as they are, or trimmed."""
        if isinstance(node, nodes.Concat):
            return all(self.is_written(child) for child in node.nodes)
        if isinstance(node, nodes.Add):
            return self.is_written(node.left) and self.is_written(node.right)
        if isinstance(node, nodes.CondExpr):
            branches = [node.expr1, *([] if node.expr2 is None else [node.expr2])]
            return self.is_value(node.test) and all(self.is_written(branch) for branch in branches)
        if isinstance(node, nodes.Filter) and node.name == "trim" and node.node is not None:
            return not node.args and self.is_written(node.node)
        if isinstance(node, nodes.Call):
            named = isinstance(node.node, nodes.Name) and node.node.name == "raise_exception"
            return named and all(isinstance(argument, nodes.Const) for argument in node.args)
        is_text = isinstance(node, nodes.Name) and node.name in self.texts
        return is_text or self._key(node) == "content" or self.is_value(node)

    def is_value(self, node: nodes.Node) -> bool:
        """Whether an expression is made of roles, places, tokens and constants alone."""
        if isinstance(node, nodes.TemplateData | nodes.Const):
            return True
        if isinstance(node, nodes.Name):
            return node.name not in {*self.texts, *self.messages, "loop", "add_generation_prompt"}
        if isinstance(node, nodes.Mod):
            counter = isinstance(node.left, nodes.Getattr) and node.left.attr in COUNTERS and _names(node.left, "loop")
            return counter and isinstance(node.right, nodes.Const)
        if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name) and node.node.name == "loop":
            return node.attr in LOOPS
        if self._key(node) is not None:
            return self._key(node) == "role"
        known = nodes.And | nodes.Or | nodes.Not | nodes.Compare | nodes.Operand | nodes.Test | nodes.Filter
        known |= nodes.Concat | nodes.Add | nodes.List | nodes.Tuple
        return isinstance(node, known) and all(self.is_value(child) for child in node.iter_child_nodes())

    def _asks_for_an_answer(self, test: nodes.Node) -> bool:
        if isinstance(test, nodes.And):
            return self._asks_for_an_answer(test.left) and self._asks_for_an_answer(test.right)
        return (isinstance(test, nodes.Name) and test.name == "add_generation_prompt") or self.is_value(test)

    def _is_messages(self, node: nodes.Node) -> bool:
        """Messages, or those from a place on."""
        sliced = isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice)
        name = node.node if isinstance(node, nodes.Getitem) and sliced else node
        return isinstance(name, nodes.Name) and name.name == "messages"

    def _key(self, node: nodes.Node) -> object:
        """The key of one message that an expression reads; None if it does not."""
        if isinstance(node, nodes.Getattr):
            key: object = node.attr
        elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            key = node.arg.value
        else:
            return None
        of = node.node
        if isinstance(of, nodes.Getitem) and isinstance(of.arg, nodes.Const | nodes.Neg):  # messages[0], messages[-1]
            of = of.node
        return key if isinstance(of, nodes.Name) and of.name in self.messages else None


def _names(node: nodes.Node, name: str) -> bool:
    """Whether a name stands in an expression."""
    return any(found.name == name for found in [*node.find_all(nodes.Name), *([node] if _is_name(node) else [])])  # type: ignore[attr-defined]


def _is_name(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name)


def _is_literal(node: nodes.Node) -> bool:
    """Whether a part of the generation prompt is the same in every conversation."""
    if isinstance(node, nodes.Name):
        return node.name.endswith("_token")
    if isinstance(node, nodes.Concat):
        return all(map(_is_literal, node.nodes))
    if isinstance(node, nodes.Add):
        return _is_literal(node.left) and _is_literal(node.right)
    return isinstance(node, nodes.TemplateData | nodes.Const)
