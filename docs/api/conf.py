"""Settings of Sphinx, which makes the API reference from the docstrings: ``tox -e docs``."""

import enum
from typing import Any

from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config, GoogleDocstring
from sphinx.pycode import ModuleAnalyzer

import rtms_gevent
from rtms_gevent.protocol.params import _Field as Field

project = "rtms-gevent"
author = "the rtms-gevent authors"
release = version = rtms_gevent.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary"]

autoclass_content = "both"  # what a class is, and the arguments of making one
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
autosummary_generate = False  # tables of names only
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

# A name in a docstring must lead somewhere. Other people's have no pages here, nor have types that
# only annotations name.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(collections|concurrent|contextlib|datetime|enum|flask|logging|pathlib)\b.*"),
    ("py:class", r"Clock|Executor|Flask|Stats|gevent\b.*"),
    ("py:class", r"rtms_gevent\.(simulator|protocol|runtime|transport|wsgi)\..*"),
    ("py:obj", r"rtms_gevent\.typing\.Result"),
    ("py:meth", "join|leave"),  # in the index, where the client's first line stands alone
]

html_theme = "furo"
html_title = f"rtms-gevent {version}"
html_copy_source = False
html_show_copyright = False
html_show_sourcelink = False

_GOOGLE = Config(napoleon_numpy_docstring=False)

_OVERLOADED = (
    "rtms_gevent.official.client_names",
    "rtms_gevent.webhook.decorator",
    "rtms_gevent.webhook.stream_manager",
)


def setup(app: Sphinx) -> None:
    """Read docstrings in Google's style, and say what parameters of media can be."""
    app.connect("autodoc-skip-member", _skip_second_names)
    app.connect("autodoc-process-docstring", _read_sections)
    app.connect("autodoc-process-docstring", _describe_field)
    # The overloads are for type checkers; for people one signature says more.
    for module in _OVERLOADED:
        source = ModuleAnalyzer.for_module(module)
        source.analyze()
        source.overloads.clear()


def _read_sections(
    app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]
) -> None:
    # Napoleon takes what stands before a colon in an attribute's docstring for its type.
    if what not in ("attribute", "data", "property"):
        lines[:] = GoogleDocstring(lines, _GOOGLE, app, what, name, value, options).lines()


def _skip_second_names(
    app: Sphinx, what: str, name: str, value: Any, skip: bool, options: Any
) -> bool | None:
    return True if isinstance(value, Field) and value.name != name else None


def _describe_field(
    app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]
) -> None:
    if not isinstance(value, Field):
        return
    if lines[0] == (Field.__doc__ or "").splitlines()[0]:
        lines.clear()
    kind = type(value.default).__name__
    default = value.default.name if isinstance(value.default, enum.Enum) else value.default
    allowed = value.allowed if len(value.allowed) < 300 else f"any :class:`~rtms_gevent.{kind}`"
    lines += [f"By default {default}; allowed: {allowed}.", ""]
