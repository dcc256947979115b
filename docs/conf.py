"""How Sphinx builds the site; ``python -m sphinx -n -W --keep-going -b html docs OUT``."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.inspect import TypeAliasForwardRef
from sphinx.util.nodes import make_refnode

sys.path.insert(0, str(Path(__file__).parents[1]))

from onnxlin.version import __version__

project = "onnxlin"
author = "the onnxlin developers"
release = version = __version__

autosummary_generate = False  # numpydoc brings the extension in
extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]

myst_heading_anchors = 3

# Names in single backticks are code; where they name something documented, they are links.
default_role = "py:obj"
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 72
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
# Left short in signatures; docs/api/index.md says what they stand for.
ALIASES = ("Array", "Shape", "Instance", "Model", "Names", "Progress", "Baseline", "Matrix")
ALIASES += ("Size", "Kind", "Status", "RuleFunction", "File")
autodoc_type_aliases = {name: name for name in ALIASES} | {
    "npt.ArrayLike": "ArrayLike",
    "npt.DTypeLike": "DTypeLike",
}
# Inside of other types Sphinx 9.0 prints the class that stands for an alias, not its name.
TypeAliasForwardRef.__repr__ = lambda self: self.name
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "furo"
html_title = f"onnxlin {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False

nitpicky = True
# Other projects' names have no page here, and their inventories need a network, which the build
# does without.
nitpick_ignore_regex = [
    ("py:.*", r"(numpy|np|npt|scipy|onnx|onnxruntime|matplotlib|PIL|shap|pytest|hypothesis)\..*"),
    ("py:.*", r"(collections|os|pathlib|typing|argparse|abc|types|enum)(\..*)?"),
    ("py:.*", r"(int|float|str|bool|bytes|dict|list|tuple|set|object|type|None|Exception)"),
    ("py:.*", "|".join((*ALIASES, "ArrayLike", "DTypeLike"))),
    # matplotlib is imported for type checks alone: these are names without a module.
    ("py:.*", "Figure|Histogram"),
]

# Page of docs/api -> the package whose names it lists.
PAGES = {
    "api/maps": "onnxlin",
    "api/readings": "onnxlin.readings",
    "api/region": "onnxlin.readings.region",
    "api/plot": "onnxlin.plot",
    "api/inputs": "onnxlin.inputs",
    "api/rules": "onnxlin.rules",
    "api/testing": "onnxlin.testing",
}

# Where a name is documented under its package's own name, a link by the name of the module that
# defines it leads there too.
PUBLIC = (
    "onnxlin",
    "onnxlin.readings",
    "onnxlin.plot",
    "onnxlin.inputs",
    "onnxlin.rules",
    "onnxlin.primitives",
    "onnxlin.testing",
)


def public_names() -> dict[str, str]:
    """``{defining module.name: package.name}`` for what the packages export."""
    found = {}
    for package in PUBLIC:
        module = importlib.import_module(package)
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isclass(thing) or inspect.isfunction(thing):
                found.setdefault(f"{thing.__module__}.{thing.__qualname__}", f"{package}.{name}")
    return found | {"Walked": "onnxlin.readings.path.Path"}


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.TextElement
) -> nodes.Node | None:
    """Find a name where it is documented; a backticked word that names nothing is just code."""
    if node.get("refdomain") != "py":
        return None
    known, target = env.domains.python_domain.objects, node["reftarget"]
    found = PUBLIC_NAMES.get(target, target)
    if found not in known:
        # A class is known by the name of its own module, too, at the same place.
        ends = {known[name].node_id: name for name in known if name.endswith(f".{target}")}
        found = next(iter(ends.values())) if len(ends) == 1 else ""
    if found:
        place = known[found]
        return make_refnode(app.builder, node["refdoc"], place.docname, place.node_id, contnode)
    # Signatures may mention what is not public, if there is such a thing.
    return contnode if node["reftype"] == "obj" or is_ours(target) else None


def is_ours(name: str) -> bool:
    """Whether there is such a thing in the library."""
    module, _, last = name.rpartition(".")
    try:
        # Not by attributes: a function may have the name of its module.
        return name.startswith("onnxlin.") and last in vars(importlib.import_module(module))
    except ImportError:
        return False


def as_plain_text(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Docstrings are plain text: ``|W|`` and ``*shape`` are no markup, a page's name is a link."""
    parts = re.split(r"(``.*?``|`[^`]*`)", "\n".join(lines), flags=re.DOTALL)
    for i in range(0, len(parts), 2):
        # A star before a space starts an item of a list, or means nothing to Sphinx.
        plain = re.sub(r"(?=[*|](?! ))", r"\\", parts[i])
        parts[i] = re.sub(r"docs/([\w/]+)\.md", r":doc:`docs/\1.md </\1>`", plain)
    lines[:] = "".join(parts).split("\n")


def without_factories(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, signature: str, returns: str
) -> tuple[str, str] | None:
    """Write a default that is made anew each time as ``...``; Sphinx cannot read ``<factory>``."""
    return (signature.replace("<factory>", "..."), returns) if signature else None


def rest_of_the_package(app: Sphinx, page: str, source: list[str]) -> None:
    """Add the public names that no page of docs/api has placed yet to the page of their package."""
    package = PAGES.get(page)
    if package is None:
        return
    folder = Path(__file__).parent / "api"
    text = "\n".join(file.read_text("utf-8") for file in folder.glob("*.md"))
    placed = set(re.findall(r"^\.\. auto\w+:: (?:\w+\.)*(\w+)", text, re.MULTILINE))
    module = importlib.import_module(package)
    left = [name for name in module.__all__ if name not in placed and documented(module, name)]
    if left:
        kinds = {
            name: "class" if inspect.isclass(getattr(module, name)) else "function" for name in left
        }
        lines = [f".. auto{kind}:: {package}.{name}" for name, kind in kinds.items()]
        source[0] += "\n## More\n\n```{eval-rst}\n" + "\n\n".join(lines) + "\n```\n"


def documented(module: Any, name: str) -> bool:
    """Whether autodoc has something to say about a name: aliases of types are said elsewhere."""
    thing = getattr(module, name)
    own = inspect.isclass(thing) or inspect.isfunction(thing)
    return own and thing.__module__.startswith("onnxlin") and thing.__module__ != "onnxlin.errors"


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect what this file defines."""
    app.connect("autodoc-process-docstring", as_plain_text, priority=1)  # before numpydoc
    app.connect("autodoc-process-signature", without_factories)
    app.connect("source-read", rest_of_the_package)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


PUBLIC_NAMES = public_names()
