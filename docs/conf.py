"""How the pages are built: sphinx-build -W docs docs/_build"""

import inspect

import convop

project = "convop"
author = "the convop developers"
project_copyright = "the convop developers"
release = version = convop.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "matplotlib.sphinxext.plot_directive",
]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_formats = [("png", 120)]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
default_role = "code"

autosummary_generate = True
autodoc_typehints = "none"
autodoc_default_options = {"member-order": "bysource"}
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "pydata_sphinx_theme"
html_title = "convop"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["convop.css"]
html_sidebars = {"*": [], "generated/*": ["sidebar-nav-bs"]}
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
