"""What is asked of the syntax trees of Python's source, whatever for. Pure. CPython 3.6, the standard library alone."""

import ast
from typing import Iterable, Iterator, List, Set


def last_line(node: ast.AST) -> int:
    """Of Python 3.6's trees, too, which have only first lines."""
    lines = [getattr(one, "end_lineno", None) or getattr(one, "lineno", 0) for one in ast.walk(node)]
    return max(int(line or 0) for line in lines)


def first_line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 0))


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """What is in it, less what is in functions and classes that are made in it."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            for one in own_nodes(child):
                yield one


def own_nodes_of(parts: Iterable[ast.AST]) -> Iterator[ast.AST]:
    for part in parts:
        for one in own_nodes(part):
            yield one


def staying(statements: List[ast.stmt]) -> Iterator[ast.AST]:
    """What runs in a round after which there is another: branches that leave the loop are none of it."""
    for node in statements:
        if isinstance(node, ast.If):
            yield node.test
            for branch in (node.body, node.orelse):
                if not leaves_loop(branch):
                    for one in staying(branch):
                        yield one
        elif isinstance(node, ast.Try):
            leaves = leaves_loop(node.body + node.orelse)
            for part in [] if leaves else [node.body, node.orelse]:
                for one in staying(part):
                    yield one
            if leaves:
                for one in calls_in(own_nodes_of(node.body)):
                    yield one  # what is tried
            for branch in [handler.body for handler in node.handlers] + [node.finalbody]:
                if not leaves_loop(branch):
                    for one in staying(branch):
                        yield one
        elif isinstance(node, ast.With):
            for item in node.items:
                yield item
            for one in staying(node.body):
                yield one
        else:
            yield node


def leaves_loop(statements: List[ast.stmt]) -> bool:
    """Whether it leaves the loop: it returns, raises or breaks."""
    return bool(statements) and isinstance(statements[-1], (ast.Return, ast.Break, ast.Raise))


def is_in_last_round(loop: ast.While, line: int) -> bool:
    """Whether the line is in a branch after which there is no other round."""
    for node in own_nodes_of(loop.body):
        if isinstance(node, ast.If):
            for branch in (node.body, node.orelse):
                if leaves_loop(branch) and branch[0].lineno <= line <= last_line(branch[-1]):
                    return True
    return False


def whiles_in(node: ast.AST) -> List[ast.While]:
    return [one for one in own_nodes(node) if isinstance(one, ast.While)]


def never_ends(loop: ast.While) -> bool:
    leaves = any(isinstance(one, (ast.Return, ast.Break, ast.Raise)) for one in own_nodes_of(loop.body))
    return is_true(loop.test) and not leaves


def targets_of(node: ast.AST) -> List[ast.AST]:
    return (
        list(node.targets) if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
    )


def names_read(node: ast.AST) -> Set[str]:
    """Variables that it reads."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and not stores(one)}


def stores(node: ast.AST) -> bool:
    return isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del))


def calls_in(nodes: Iterable[ast.AST]) -> Iterator[ast.Call]:
    return (node for node in nodes if isinstance(node, ast.Call))


def name_of(node: ast.AST) -> str:
    """The last part of what it is called: `exists` of `os.path.exists(...)`."""
    if isinstance(node, ast.Call):
        return name_of(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def is_literal(node: ast.AST) -> bool:
    try:
        ast.literal_eval(node)
        return True
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False


def is_true(node: ast.AST) -> bool:
    return is_literal(node) and bool(ast.literal_eval(node))
