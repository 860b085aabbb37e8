"""Whether a backfill's text proves that equal inputs give equal values, whenever and how often it
runs: then it need run but once for each input.

A list of what is known to be harmless, not of what is known to do harm: whatever is not on it
(an outer `let`, a method that changes its object, a class, a call of what a call gave) proves
nothing, and the function runs for every document.
"""

from __future__ import annotations

import re

from tree_sitter import Node

from valet_studio.schema.behaviour import Behaviours
from valet_studio.schema.model import Backfill, Sources
from valet_studio.schema.scopes import Module
from valet_studio.schema.syntax import arguments_of, inside, text_of

_TAMPERS = re.compile(
    r"\b(?:prototype|__proto__|constructor|globalThis|self|window|eval|Function|Reflect|Proxy"
    r"|defineProperty|defineProperties|setPrototypeOf|assign|import\s*\()"
    r"|(?:\.\s*#?[\w$]+|\])\s*(?:[-+*/%&|^]|\*\*|<<|>>>?|&&|\|\||\?\?)?=(?![=>])"
    r"|(?:\.\s*[\w$]+|\])\s*(?:\+\+|--)"
)
"""What could change an object that others share, JavaScript's own included. It is found in comments
and strings too, which costs nothing but speed."""

_FUNCTIONS = {"arrow_function", "function_expression", "function_declaration"}
_HARMLESS = {
    *_FUNCTIONS,
    "arguments",
    "array",
    "array_pattern",
    "assignment_expression",
    "assignment_pattern",
    "augmented_assignment_expression",
    "binary_expression",
    "break_statement",
    "computed_property_name",
    "continue_statement",
    "else_clause",
    "escape_sequence",
    "expression_statement",
    "false",
    "for_in_statement",
    "for_statement",
    "formal_parameters",
    "if_statement",
    "lexical_declaration",
    "non_null_expression",
    "null",
    "number",
    "object",
    "object_assignment_pattern",
    "object_pattern",
    "optional_chain",
    "optional_parameter",
    "pair",
    "pair_pattern",
    "parenthesized_expression",
    "property_identifier",
    "regex",
    "regex_flags",
    "regex_pattern",
    "required_parameter",
    "rest_pattern",
    "return_statement",
    "sequence_expression",
    "spread_element",
    "statement_block",
    "string",
    "string_fragment",
    "subscript_expression",
    "switch_body",
    "switch_case",
    "switch_default",
    "switch_statement",
    "template_string",
    "template_substitution",
    "ternary_expression",
    "throw_statement",
    "true",
    "unary_expression",
    "undefined",
    "update_expression",
    "variable_declarator",
    "while_statement",
}
_TYPES = {"type_annotation", "type_arguments", "type_parameters", "comment"}
_OF_A_TYPE = {"as_expression", "satisfies_expression"}
_NAMES = {"identifier", "shorthand_property_identifier"}

_CALLED = {
    *("String", "Number", "Boolean", "parseInt", "parseFloat", "isNaN", "isFinite"),
    *("encodeURIComponent", "decodeURIComponent", "encodeURI", "decodeURI"),
}
_CONSTANTS = {"undefined", "NaN", "Infinity"}
_MEMBERS = {
    "Math": "PI E LN2 LN10 SQRT2 abs ceil floor round trunc max min pow sqrt cbrt sign log log2"
    " log10 exp hypot sin cos tan asin acos atan atan2",
    "JSON": "parse stringify",
    "Object": "is keys values entries fromEntries hasOwn",
    "Array": "isArray from of",
    "Number": "isInteger isSafeInteger isFinite isNaN parseFloat parseInt MAX_SAFE_INTEGER"
    " MIN_SAFE_INTEGER MAX_VALUE MIN_VALUE EPSILON",
    "String": "fromCharCode fromCodePoint",
    "Date": "UTC parse",
}
_METHODS = {
    word
    for words in (
        "at charAt charCodeAt codePointAt concat endsWith includes indexOf lastIndexOf",
        "localeCompare match normalize padEnd padStart repeat replace replaceAll search slice",
        "split startsWith substring substr toLowerCase toLocaleLowerCase toLocaleUpperCase",
        "toUpperCase trim trimEnd trimStart toString valueOf",
        "filter map find findIndex findLast every some flat flatMap join reduce reduceRight",
        "forEach toSorted toReversed toFixed toPrecision toExponential test exec",
        "getTime getFullYear getMonth getDate getDay getHours getMinutes getSeconds",
        "getMilliseconds getUTCFullYear getUTCMonth getUTCDate getUTCDay getUTCHours",
        "getUTCMinutes getUTCSeconds toISOString toJSON",
        *_MEMBERS.values(),
    )
    for word in words.split()
}


def is_pure(sources: Sources, backfill: Backfill) -> bool:
    """Whether it is proved that the function's value depends on its document alone.

    It may fail all the same, and always does for the same document.
    """
    code = [text for file, text in sources.files.items() if not file.endswith(".json")]
    if backfill.location is None or backfill.impurities or any(map(_TAMPERS.search, code)):
        return False
    reached = Behaviours(sources).reached(backfill.location)
    return bool(reached) and all(
        _is_proved(module, root, first=at == 0) for at, (module, root) in enumerate(reached)
    )


def _is_proved(module: Module, root: Node, *, first: bool) -> bool:
    if module.file.endswith(".json"):
        return True
    if not first and root.type != "function_declaration":
        declared = root.parent
        if root.type != "variable_declarator" or declared is None:
            return False
        value = root.child_by_field_name("value")
        constant = declared.child_by_field_name("kind")
        if value is None or constant is None or text_of(constant) != "const":
            return False
    stack = [root]
    while stack:
        node = stack.pop()
        if node.type in _TYPES or not node.is_named:
            if text_of(node) in ("async", "await", "delete", "yield"):
                return False
        elif node.type in _OF_A_TYPE:
            stack.append(node.named_children[0])
        elif not _is_harmless(module, node, root):
            return False
        else:
            stack += node.children
    return True


def _is_harmless(module: Module, node: Node, root: Node) -> bool:
    kind = node.type
    if kind in _NAMES:
        return _is_known(module, node)
    if kind == "call_expression":
        return _is_harmless_call(node) and _is_run_each_time(node, root)
    if kind == "new_expression":
        made, given = node.child_by_field_name("constructor"), arguments_of(node)
        return made is not None and text_of(made) == "Date" and bool(given)
    if kind == "member_expression":
        return _is_member_known(module, node)
    if kind in ("assignment_expression", "augmented_assignment_expression"):
        return _is_own_variable(module, node.child_by_field_name("left"))
    if kind == "update_expression":
        return _is_own_variable(module, node.child_by_field_name("argument"))
    if kind == "for_in_statement":
        return node.child_by_field_name("kind") is not None
    if kind == "regex":
        flags = node.child_by_field_name("flags")
        remembers = flags is not None and bool({"g", "y"} & set(text_of(flags)))
        return not remembers or _is_run_each_time(node, root)
    return kind in _HARMLESS or kind == "shorthand_property_identifier_pattern"


def _is_known(module: Module, name: Node) -> bool:
    """Whether a name is declared by the user, or one of the language's that is harmless here."""
    if module.declares(name) or text_of(name) in _CONSTANTS:
        return True
    holder = name.parent
    if holder is None:
        return False
    if holder.type == "call_expression" and holder.child_by_field_name("function") == name:
        return text_of(name) in _CALLED
    if holder.type == "member_expression":
        return text_of(name) in _MEMBERS  # The member itself is looked at on its own.
    if holder.type == "new_expression":
        return text_of(name) == "Date"
    # `.filter(Boolean)`: handed on to be called.
    return holder.type == "arguments" and text_of(name) in _CALLED


def _is_member_known(module: Module, node: Node) -> bool:
    owner, member = node.child_by_field_name("object"), node.child_by_field_name("property")
    if owner is None or member is None or member.type != "property_identifier":
        return False
    if owner.type == "identifier" and not module.declares(owner):
        return text_of(member) in _MEMBERS.get(text_of(owner), "").split()
    return True


def _is_harmless_call(node: Node) -> bool:
    called = node.child_by_field_name("function")
    given = node.child_by_field_name("arguments")
    if called is None or given is None or given.type != "arguments":
        return False
    if called.type == "member_expression":
        method = called.child_by_field_name("property")
        return method is not None and text_of(method) in _METHODS
    return called.type == "identifier"


def _is_run_each_time(node: Node, root: Node) -> bool:
    """Whether it stands in a function, and not where it runs but once."""
    function = _function_around(node)
    return function is not None and inside(function, root)


def _is_own_variable(module: Module, target: Node | None) -> bool:
    """Whether an assignment changes a variable of the very function that it stands in."""
    if target is None or target.type != "identifier":
        return False
    binding = module.resolve(target)
    function = _function_around(target)
    return binding is not None and function is not None and inside(binding.scope, function)


def _function_around(node: Node) -> Node | None:
    around = node.parent
    while around is not None and around.type not in _FUNCTIONS:
        around = around.parent
    return around
