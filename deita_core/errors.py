"""Every error that Deita Studio raises on purpose; a message names value, limit and remedy."""

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
    """Another process has the project open; the message says which."""


class ProjectVersionError(ProjectError):
    """The project was written by another version of Deita Studio."""


class ProjectDamagedError(ProjectError):
    """A project file cannot be read; the message says what can be saved."""


class ModelError(DeitaError):
    """A scorer or embedder cannot be loaded or used."""


class HopelessScorerError(ModelError):
    """The first scores of a scorer show that going on would be a waste."""


class SpendingCapError(ModelError):
    """The limit of tokens or money of a run is reached; what was answered is kept."""


class SelectionError(DeitaError, ValueError):
    """An argument of a selection is out of range."""


class ReviewError(DeitaError):
    """A decision, a queue or the rule of one is not possible."""


class EvolvingError(DeitaError):
    """A plan of evolving or ranking, or a file of prompts, cannot be used."""


class FilterError(DeitaError):
    """A filter, a search or a line of SQL cannot be read, or names what the pool does not have."""


class ExportError(DeitaError):
    """An export cannot be written, or a manifest cannot be replayed."""


class JobError(DeitaError):
    """A background job failed."""


class JobCancelledError(JobError):
    """The job was cancelled by the user; what it had committed stays."""


class PermissionDeniedError(DeitaError):
    """The role of who acts is not enough for what they asked."""


class RolesError(DeitaError):
    """The file of roles is missing or cannot be used."""
