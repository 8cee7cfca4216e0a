"""A project: one DuckDB file, and every query on it.

`store` opens it and knows its tables; each other file has the queries of one concern, as
functions on an open `Project`; `folder` manages the files.
"""

from deita_core.project.store import Project

__all__ = ["Project"]
