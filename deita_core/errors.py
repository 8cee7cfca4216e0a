"""Every error that Deita Studio raises on purpose.

    DeitaError
    ├── PoolError             a pool file cannot be read at all
    │   ├── FormatError       its format is not recognised, or the mapping does not fit it
    │   └── PathError         a path is missing, or lies outside the data folder
    ├── ProjectError          a project file cannot be used
    │   ├── ProjectLockedError    another process has it open (says which)
    │   └── ProjectVersionError   written by another version
    ├── ModelError            a scorer or embedder cannot be loaded or used
    │   └── HopelessScorerError   its first scores show that the rest would be a waste
    ├── SelectionError        (also a ValueError) arguments of a selection are out of range
    ├── ExportError           an export cannot be written, or not be replayed
    └── JobError              a background job failed
        └── JobCancelledError it was cancelled by the user

A message names the value, the limit and the remedy.
"""

from __future__ import annotations


class DeitaError(Exception):
    """Base of all errors below; catching it catches every expected failure."""


class PoolError(DeitaError):
    """A pool file cannot be read at all."""


class FormatError(PoolError):
    """The format is not recognised, or the column mapping does not fit the file."""


class PathError(PoolError):
    """The path does not exist, or lies outside the data folder."""


class ProjectError(DeitaError):
    """A project file cannot be used."""


class ProjectLockedError(ProjectError):
    """Another process has the project open."""


class ProjectVersionError(ProjectError):
    """The project was written by another version of Deita Studio."""


class ModelError(DeitaError):
    """A scorer or embedder cannot be loaded or used."""


class HopelessScorerError(ModelError):
    """The first scores of a scorer show that going on would be a waste."""


class SelectionError(DeitaError, ValueError):
    """An argument of a selection is out of range."""


class ExportError(DeitaError):
    """An export cannot be written, or a manifest cannot be replayed."""


class JobError(DeitaError):
    """A background job failed."""


class JobCancelledError(JobError):
    """The job was cancelled by the user; what it had committed stays."""
