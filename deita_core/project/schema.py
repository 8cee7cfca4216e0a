"""The tables of a project file, and how an older file is brought up to date.

One DuckDB file holds one project. `row` numbers a conversation within its project (dense, in
the order imported); `id` is its content hash and the same in every project.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deita_core.errors import ProjectVersionError

if TYPE_CHECKING:
    import duckdb

_VERSION_1 = """
CREATE TABLE meta (key VARCHAR PRIMARY KEY, value VARCHAR NOT NULL);

CREATE TABLE sources (
    source INTEGER PRIMARY KEY, name VARCHAR NOT NULL, path VARCHAR NOT NULL,
    sha256 VARCHAR, bytes BIGINT, container VARCHAR, compression VARCHAR, mapping VARCHAR,
    explanation VARCHAR,
    read BIGINT NOT NULL DEFAULT 0, state VARCHAR NOT NULL, added TIMESTAMP NOT NULL);

CREATE TABLE conversations (
    row INTEGER NOT NULL, id VARCHAR PRIMARY KEY, source INTEGER NOT NULL,
    position BIGINT NOT NULL, line BIGINT, messages VARCHAR NOT NULL, tools VARCHAR,
    original VARCHAR NOT NULL, notes VARCHAR[] NOT NULL, preview VARCHAR NOT NULL,
    language VARCHAR, language_confidence FLOAT, turns INTEGER NOT NULL,
    characters INTEGER NOT NULL, tokens INTEGER NOT NULL, flags VARCHAR[] NOT NULL);

CREATE TABLE turns (
    row INTEGER NOT NULL, turn INTEGER NOT NULL,
    instruction_characters INTEGER NOT NULL, response_characters INTEGER);

CREATE TABLE duplicates (
    source INTEGER NOT NULL, position BIGINT NOT NULL, line BIGINT, id VARCHAR NOT NULL);

CREATE TABLE rejects (
    source INTEGER NOT NULL, position BIGINT NOT NULL, line BIGINT,
    reason VARCHAR NOT NULL, raw VARCHAR NOT NULL);

CREATE TABLE scorers (
    scorer INTEGER PRIMARY KEY, dimension VARCHAR NOT NULL, model VARCHAR NOT NULL,
    revision VARCHAR NOT NULL, parameters VARCHAR NOT NULL, active BOOLEAN NOT NULL,
    added TIMESTAMP NOT NULL);

CREATE TABLE scores (
    scorer INTEGER NOT NULL, row INTEGER NOT NULL, turn INTEGER NOT NULL,
    score FLOAT, reason VARCHAR, scored TIMESTAMP NOT NULL,
    CHECK ((score IS NULL) = (reason IS NOT NULL)));

CREATE TABLE embedders (
    embedder INTEGER PRIMARY KEY, model VARCHAR NOT NULL, revision VARCHAR NOT NULL,
    dimension INTEGER NOT NULL, parameters VARCHAR NOT NULL, active BOOLEAN NOT NULL,
    added TIMESTAMP NOT NULL);

CREATE TABLE embeddings (
    embedder INTEGER NOT NULL, row INTEGER NOT NULL, vector FLOAT[], tokens INTEGER NOT NULL,
    truncated BOOLEAN NOT NULL, reason VARCHAR, embedded TIMESTAMP NOT NULL,
    CHECK ((vector IS NULL) = (reason IS NOT NULL)));

CREATE TABLE map_points (embedder INTEGER NOT NULL, row INTEGER NOT NULL, x FLOAT, y FLOAT);
CREATE TABLE maps (
    embedder INTEGER PRIMARY KEY, parameters VARCHAR NOT NULL, made TIMESTAMP NOT NULL);

CREATE TABLE selections (
    selection INTEGER PRIMARY KEY, name VARCHAR NOT NULL UNIQUE, rule VARCHAR NOT NULL,
    sentence VARCHAR NOT NULL, notes VARCHAR NOT NULL, author VARCHAR NOT NULL,
    made TIMESTAMP NOT NULL);
CREATE TABLE selection_rows (
    selection INTEGER NOT NULL, rank INTEGER NOT NULL, row INTEGER NOT NULL,
    score DOUBLE NOT NULL);

CREATE TABLE decisions (
    row INTEGER NOT NULL, decision VARCHAR NOT NULL, note VARCHAR NOT NULL,
    author VARCHAR NOT NULL, decided TIMESTAMP NOT NULL);

CREATE TABLE jobs (
    job INTEGER PRIMARY KEY, kind VARCHAR NOT NULL, parameters VARCHAR NOT NULL,
    state VARCHAR NOT NULL, done BIGINT NOT NULL, total BIGINT, rate DOUBLE,
    message VARCHAR NOT NULL, error VARCHAR, made TIMESTAMP NOT NULL,
    started TIMESTAMP, finished TIMESTAMP);
"""

# A vector is FLOAT[] in `vector`, or float16 bytes in `half` (wide embeddings: half the file).
# `choices` has a row for each pinned or excluded conversation.
_VERSION_2 = """
ALTER TABLE scores ADD COLUMN mass FLOAT;
ALTER TABLE scores ADD COLUMN truncated BOOLEAN;

CREATE TABLE embeddings_2 (
    embedder INTEGER NOT NULL, row INTEGER NOT NULL, vector FLOAT[], half BLOB,
    tokens INTEGER NOT NULL, truncated BOOLEAN NOT NULL, reason VARCHAR,
    embedded TIMESTAMP NOT NULL,
    CHECK ((vector IS NULL AND half IS NULL) = (reason IS NOT NULL)));
INSERT INTO embeddings_2
    SELECT embedder, row, vector, NULL, tokens, truncated, reason, embedded FROM embeddings;
DROP TABLE embeddings;
ALTER TABLE embeddings_2 RENAME TO embeddings;

ALTER TABLE selections ADD COLUMN current BOOLEAN DEFAULT false;

CREATE TABLE choices (
    row INTEGER PRIMARY KEY, choice VARCHAR NOT NULL CHECK (choice IN ('pinned', 'excluded')),
    note VARCHAR NOT NULL, author VARCHAR NOT NULL, chosen TIMESTAMP NOT NULL);

CREATE TABLE pilots (
    pilot INTEGER PRIMARY KEY, model VARCHAR NOT NULL, facts VARCHAR NOT NULL,
    made TIMESTAMP NOT NULL);
"""

# migrations[i] brings a file of version i to version i + 1. Never edit one that was released.
MIGRATIONS: tuple[str, ...] = (_VERSION_1, _VERSION_2)
SCHEMA_VERSION = len(MIGRATIONS)


def migrate(connection: duckdb.DuckDBPyConnection, path: str) -> None:
    """Bring the file to `SCHEMA_VERSION`, all steps in one transaction.

    Raises ProjectVersionError when the file is newer than this program.
    """
    version = _version(connection)
    if version > SCHEMA_VERSION:
        raise ProjectVersionError(
            f"{path} has schema version {version}, but this Deita Studio knows versions up to "
            f"{SCHEMA_VERSION}: update Deita Studio to open it"
        )
    if version == SCHEMA_VERSION:
        return
    connection.begin()
    try:
        for step in MIGRATIONS[version:]:
            connection.execute(step)
        connection.execute(
            "INSERT OR REPLACE INTO meta VALUES ('schema_version', ?)", [str(SCHEMA_VERSION)]
        )
        connection.commit()
    except Exception:
        connection.rollback()
        raise


def _version(connection: duckdb.DuckDBPyConnection) -> int:
    found = connection.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'meta'"
    ).fetchall()
    if not found[0][0]:
        return 0
    row = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchall()
    return int(row[0][0]) if row else 0
