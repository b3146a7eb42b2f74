"""What holds while a script of the gallery runs."""

import warnings


def warnings_are_errors(gallery_conf, script, when):
    """A warning in a script ends the build; between scripts Sphinx keeps its own rules."""
    if when == "before":
        warnings.filterwarnings("error", append=False)
    else:
        rule = ("error", None, Warning, None, 0)
        if rule in warnings.filters:
            warnings.filters.remove(rule)
