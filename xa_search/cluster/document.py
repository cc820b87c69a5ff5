"""A YAML file whose every part knows its line. In: the text of a file. Out: a tree of parts, or what the text is not.

A part that is missing is an empty part on the line of the nearest part around it: rules may ask for anything.
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MantissaNoDotYAML1_1Warning, MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from xa_search.config.yaml_files import broken_yaml


@dataclass(frozen=True)
class YamlNode:
    """A value somewhere in a file: its line counts from one, and is that of its key where it has one."""

    value: Any
    line: int
    inner: Mapping[str | int, "YamlNode"] = field(default_factory=dict)
    repeated: tuple[tuple[str, int], ...] = ()
    """The keys that stand here more than once, with the line of the last."""

    def at(self, *path: str | int) -> "YamlNode":
        """Return the part at the end of a path of keys and positions."""
        part = self
        for step in path:
            part = part.inner.get(step) or YamlNode(None, part.line)
        return part

    @property
    def present(self) -> bool:
        """Whether the file says anything here."""
        return self.value is not None

    @property
    def text(self) -> str:
        """What stands here as text; empty for a list, a mapping, and nothing at all."""
        return "" if self.value is None or isinstance(self.value, dict | list) else str(self.value)

    @property
    def number(self) -> float | None:
        """The number that stands here, also in quotes; none where there is no number."""
        try:
            return None if isinstance(self.value, bool) else float(self.text)
        except ValueError:
            return None

    @property
    def entries(self) -> Mapping[str, "YamlNode"]:
        """The parts of a mapping by key; none where this is no mapping."""
        return {str(key): part for key, part in self.inner.items()} if isinstance(self.value, dict) else {}

    @property
    def elements(self) -> tuple["YamlNode", ...]:
        """The parts of a list; none where this is no list."""
        return tuple(self.inner.values()) if isinstance(self.value, list) else ()

    def walk(self) -> Iterator["YamlNode"]:
        """Yield this part and all in it."""
        yield self
        for part in self.inner.values():
            yield from part.walk()


def read_document(text: str) -> YamlNode:
    """Return the root of the one document in a text: as YAML 1.1, which Ray reads. Raises BrokenYamlError."""
    reader = YAML(typ="safe", pure=True)
    reader.version = (1, 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MantissaNoDotYAML1_1Warning)
            node = reader.compose(text)
            return YamlNode(None, 1) if node is None else _part(reader.constructor, node, 1)
    except (YAMLError, RecursionError) as error:
        raise broken_yaml(text, error) from None


def _part(maker: SafeConstructor, node: Node, line: int) -> YamlNode:
    if isinstance(node, MappingNode):
        return _mapping(maker, node, line)
    if isinstance(node, SequenceNode):
        elements: dict[str | int, YamlNode] = {
            place: _part(maker, inner, inner.start_mark.line + 1) for place, inner in enumerate(node.value)
        }
        return YamlNode([part.value for part in elements.values()], line, elements)
    try:
        return YamlNode(maker.construct_object(node), line)
    except ValueError as error:
        raise MarkedYAMLError(problem=f"{node.value}: {error}", problem_mark=node.start_mark) from None


def _mapping(maker: SafeConstructor, node: MappingNode, line: int) -> YamlNode:
    for key, _ in node.value:
        if not isinstance(key, ScalarNode):
            raise MarkedYAMLError(problem="a key must be a word", problem_mark=key.start_mark)
    own = [(key.value, key.start_mark.line + 1) for key, _ in node.value if key.value != "<<"]
    repeated = tuple((name, where) for place, (name, where) in enumerate(own) if name in dict(own[:place]))
    maker.flatten_mapping(node)
    inner: dict[str | int, YamlNode] = {}
    for key, value in node.value:
        inner[maker.construct_object(key)] = _part(maker, value, key.start_mark.line + 1)
    return YamlNode({key: part.value for key, part in inner.items()}, line, inner, repeated)
