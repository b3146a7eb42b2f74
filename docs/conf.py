"""How the pages are built: sphinx-build -W docs docs/_build

The gallery runs every script of docs/examples; with `-D plot_gallery=0` it is built without running them.
"""

import inspect
import os
import sys
from pathlib import Path

import convop

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))  # for gallery_rules
# For the programs that examples start.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(DOCS.parent), os.environ.get("PYTHONPATH"))))

project = "convop"
author = "the convop developers"
project_copyright = "the convop developers"
release = version = convop.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # formulas without a network: MathJax comes along with the pages
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
PARTS = ("matrices", "edges", "deblurring", "instruments", "beyond")  # of the gallery

plot_html_show_formats = False
plot_html_show_source_link = False
plot_formats = [("png", 120)]
exclude_patterns = ["_build", "examples", "**/GALLERY_HEADER.rst"]
templates_path = ["_templates"]
default_role = "code"

autosummary_generate = True
autodoc_typehints = "none"
autodoc_default_options = {"member-order": "bysource"}
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "subsection_order": [f"examples/{part}" for part in PARTS],
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("convop",),
    "reference_url": {"convop": None},
    "reset_modules": ("matplotlib", "gallery_rules.warnings_are_errors"),
    "reset_modules_order": "both",
    "min_reported_time": 1,
    "write_computation_times": False,
    "show_memory": False,
    "show_signature": False,
    "download_all_examples": False,
    "remove_config_comments": True,
    "thumbnail_size": (720, 240),
}

html_theme = "pydata_sphinx_theme"
html_title = "convop"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["convop.css"]
html_sidebars = {page: [] for page in ("index", "tour", "search")}  # those with nothing beside them
html_theme_options = {
    "logo": {"text": "convop"},
    "navbar_align": "left",
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "tango",
}


def show_init_signature(app, what, name, obj, options, signature, returns):
    """The arguments of `__init__`: scipy's `LinearOperator.__new__` hides them behind `*args, **kwargs`."""
    if what == "class" and issubclass(obj, convop.Operator):
        parameters = list(inspect.signature(obj.__init__).parameters.values())[1:]
        bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
        return str(inspect.Signature(bare)), None
    return None


def setup(app):
    """Called by Sphinx."""
    app.connect("autodoc-process-signature", show_init_signature)
