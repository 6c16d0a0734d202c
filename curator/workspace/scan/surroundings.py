"""What lies outside of the program and a scan needs: a recipe of the user's own, the folder of the metrics, the package
of an engine. Looked at by scans and their dry runs only: a query needs none of it.
"""

from __future__ import annotations

from functools import partial

from curator.vectors.recipes import load_recipe
from curator.workspace.context import Context
from curator.workspace.names import check_option
from curator.workspace.outputs import check_destination, configured_destination, metrics_path
from curator.workspace.scan.engine import check_engine


def check_surroundings(context: Context) -> None:
    """Raises UsageError or MissingExtra for what a scan would find missing only after hours of work, or at its end."""
    config = context.config
    check_engine(config.scan)
    metrics_path(context.layout, config.scan.metrics_file)
    for key in ("images", "labels"):
        check_option(f"index.{key}", partial(load_recipe, getattr(config.index, key)))
    if destination := configured_destination(context.layout, config):
        check_option("publish.to", partial(check_destination, destination))
