"""A project: one DuckDB file, and every query on it.

`store` opens it and knows its tables; `pool`, `models`, `scores`, `vectors`, `pilots`,
`selections`, `pins` and `job_log` hold the queries of one concern each, as functions on an open
`Project`; `arrays` gives the columns that selection and charts compute on; `folder` manages the
files.
"""

from deita_core.project.store import Project

__all__ = ["Project"]
