"""The models that a project has results of: what tells one apart, and which count for selection.

Each has a role: it scores complexity, it scores quality, or it embeds. At most one model of a
role is active; selection, charts and map use its results.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from deita_core.project.store import Project, now, whole_number

Role = Literal["complexity", "quality", "embedding"]
Parameters = Mapping[str, str | int | float | bool]


class ModelIdentity(BaseModel):
    """What tells a model apart from all others. width: of an embedder's vectors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    revision: str
    parameters: Parameters = Field(default_factory=dict)
    width: int | None = None


def register_model(
    project: Project, role: Role, identity: ModelIdentity, *, activate: bool = True
) -> int:
    """The number of this model, made at need.

    activate: it becomes the active one of its role; without, only when there is none.
    """
    told_apart = [role, identity.id, identity.revision]
    told_apart.append(json.dumps(dict(identity.parameters), sort_keys=True))
    with project.transaction() as cursor:
        number = whole_number(
            cursor,
            "SELECT model FROM models WHERE role = ? AND id = ? AND revision = ? "
            "AND parameters = ?",
            *told_apart,
        )
        if not number:
            number = whole_number(cursor, "SELECT coalesce(max(model), 0) + 1 FROM models")
            cursor.execute(
                "INSERT INTO models VALUES (?, ?, ?, ?, ?, ?, false, ?)",
                [number, *told_apart, identity.width, now()],
            )
        cursor.execute(
            "UPDATE models SET active = (model = ?) WHERE role = ? AND "
            "(? OR NOT EXISTS (FROM models WHERE role = ? AND active))",
            [number, role, activate, role],
        )
    return number


def active_model(project: Project, role: Role) -> int | None:
    """The number of the model whose results count, or None."""
    return project.number("SELECT model FROM models WHERE role = ? AND active", role) or None


def activate_model(project: Project, model: int) -> None:
    """Let the results of this model count, instead of those of others of its role."""
    with project.transaction() as cursor:
        cursor.execute(
            "UPDATE models SET active = (model = ?) WHERE role = "
            "(SELECT role FROM models WHERE model = ?)",
            [model, model],
        )
