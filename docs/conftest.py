"""What of this folder holds no doctests: settings, scripts that pages run, and what Sphinx makes."""

collect_ignore = ["conf.py", "gallery_rules.py"]
collect_ignore_glob = ["_build/*", "examples/*", "figures/*", "gallery/*", "generated/*"]
