"""Parquet files as sources of images: which columns, which row groups, and pages that are not trusted."""
