"""The tables of a project file, and their version."""

# Raised with every change of the tables; a file of another version is refused.
SCHEMA_VERSION = 7

# `scorer` and `embedder` are numbers of `models`. An embedding is FLOAT[] in `vector`, or float16
# bytes in `half` (wide ones: half the file). `person` of a job is who asked for it. `log` and
# `decisions` only ever get rows added; `standing` and `pins` are read off the latter. An `entry`
# of decisions is what was decided in one go. `leases` say who holds which rows of a queue. What
# the clusters, and the duplicates by text, were made from stands in `meta`.
# `answers` are what chat models said, by the key of the request, so that nothing is paid twice;
# `evolution` is the run that paid, where it was one. An evolution is a run, its chains are its
# seeds (done: nothing is left to ask), a variant is one attempt at one round, a ranking one pass
# over a chain: the score at place i is of the round at place i. `rank_edits` only ever get rows
# added: the last one of a variant stands, and one without a score takes it back. Tags of a turn
# belong to the scorer that counts them: `given` as they were answered, `tags` normalised.
SCHEMA = """
CREATE TABLE meta (key VARCHAR PRIMARY KEY, value VARCHAR NOT NULL);

CREATE TABLE sources (
    source INTEGER PRIMARY KEY, name VARCHAR NOT NULL, path VARCHAR NOT NULL,
    sha256 VARCHAR, bytes BIGINT, container VARCHAR, mapping VARCHAR,
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

CREATE TABLE models (
    model INTEGER PRIMARY KEY, role VARCHAR NOT NULL, id VARCHAR NOT NULL,
    revision VARCHAR NOT NULL, parameters VARCHAR NOT NULL, width INTEGER,
    active BOOLEAN NOT NULL, added TIMESTAMP NOT NULL);

CREATE TABLE scores (
    scorer INTEGER NOT NULL, row INTEGER NOT NULL, turn INTEGER NOT NULL,
    score FLOAT, reason VARCHAR, scored TIMESTAMP NOT NULL, mass FLOAT, truncated BOOLEAN,
    CHECK ((score IS NULL) = (reason IS NOT NULL)));

CREATE TABLE embeddings (
    embedder INTEGER NOT NULL, row INTEGER NOT NULL, vector FLOAT[], half BLOB,
    tokens INTEGER NOT NULL, truncated BOOLEAN NOT NULL, reason VARCHAR,
    embedded TIMESTAMP NOT NULL,
    CHECK ((vector IS NULL AND half IS NULL) = (reason IS NOT NULL)));

CREATE TABLE pilots (
    pilot INTEGER PRIMARY KEY, model VARCHAR NOT NULL, facts VARCHAR NOT NULL,
    made TIMESTAMP NOT NULL);

CREATE TABLE map_points (embedder INTEGER NOT NULL, row INTEGER NOT NULL, x FLOAT, y FLOAT);
CREATE TABLE maps (
    embedder INTEGER PRIMARY KEY, parameters VARCHAR NOT NULL, made TIMESTAMP NOT NULL);

CREATE TABLE clusters (
    cluster INTEGER NOT NULL, name VARCHAR NOT NULL, words VARCHAR[] NOT NULL,
    example INTEGER NOT NULL, by_hand BOOLEAN NOT NULL);
CREATE TABLE cluster_rows (row INTEGER NOT NULL, cluster INTEGER NOT NULL);

CREATE TABLE text_duplicates (
    row INTEGER NOT NULL, keeper INTEGER NOT NULL, similarity DOUBLE NOT NULL);

CREATE TABLE benchmarks (
    benchmark INTEGER NOT NULL, name VARCHAR NOT NULL, sha256 VARCHAR NOT NULL,
    run INTEGER NOT NULL, threshold DOUBLE, rows INTEGER NOT NULL, texts INTEGER NOT NULL,
    short INTEGER NOT NULL, made TIMESTAMP NOT NULL);
CREATE TABLE benchmark_pairs (
    benchmark INTEGER NOT NULL, row INTEGER NOT NULL, position BIGINT NOT NULL,
    part VARCHAR NOT NULL, share DOUBLE, longest VARCHAR, similarity DOUBLE,
    text VARCHAR NOT NULL);

CREATE TABLE selections (
    selection INTEGER PRIMARY KEY, name VARCHAR NOT NULL UNIQUE, rule VARCHAR NOT NULL,
    sentence VARCHAR NOT NULL, notes VARCHAR NOT NULL, author VARCHAR NOT NULL,
    made TIMESTAMP NOT NULL, current BOOLEAN NOT NULL DEFAULT false);
CREATE TABLE selection_rows (
    selection INTEGER NOT NULL, rank INTEGER NOT NULL, row INTEGER NOT NULL,
    score DOUBLE NOT NULL);
CREATE TABLE stabilities (
    selection INTEGER PRIMARY KEY, key VARCHAR NOT NULL, found VARCHAR NOT NULL,
    made TIMESTAMP NOT NULL);
CREATE TABLE measures (
    key VARCHAR PRIMARY KEY, found VARCHAR NOT NULL, made TIMESTAMP NOT NULL);

CREATE TABLE decisions (
    number BIGINT NOT NULL, entry BIGINT NOT NULL, made TIMESTAMP NOT NULL, who VARCHAR NOT NULL,
    session VARCHAR NOT NULL, author VARCHAR NOT NULL, row INTEGER NOT NULL,
    version INTEGER NOT NULL, slot VARCHAR NOT NULL, kind VARCHAR NOT NULL,
    value VARCHAR NOT NULL, why VARCHAR NOT NULL, replaces BIGINT, queue INTEGER,
    client VARCHAR NOT NULL);
CREATE VIEW standing AS
    SELECT *, slot IN ('pin', 'edit') OR starts_with(slot, 'tag:') AS shared FROM decisions
    QUALIFY number = max(number) OVER (PARTITION BY row, slot,
        CASE WHEN shared THEN NULL ELSE author END, CASE WHEN shared THEN NULL ELSE queue END);
CREATE VIEW pins AS
    SELECT row, CASE kind WHEN 'pin' THEN 'pinned' ELSE 'excluded' END AS kind, why AS note,
           author, made
    FROM (FROM decisions WHERE slot = 'pin'
          QUALIFY number = max(number) OVER (PARTITION BY row)) WHERE kind <> 'restore';

CREATE TABLE queues (
    queue INTEGER PRIMARY KEY, name VARCHAR NOT NULL UNIQUE, rule VARCHAR NOT NULL,
    guidelines VARCHAR NOT NULL, labels VARCHAR[] NOT NULL, asks VARCHAR[] NOT NULL,
    blind BOOLEAN NOT NULL, adjudicates INTEGER, author VARCHAR NOT NULL, made TIMESTAMP NOT NULL);
CREATE TABLE queue_rows (
    queue INTEGER NOT NULL, place INTEGER NOT NULL, row INTEGER NOT NULL,
    reviewers INTEGER NOT NULL);
CREATE TABLE leases (
    queue INTEGER NOT NULL, row INTEGER NOT NULL, reviewer VARCHAR NOT NULL,
    until TIMESTAMP NOT NULL);

CREATE TABLE answers (
    key VARCHAR PRIMARY KEY, model VARCHAR NOT NULL, text VARCHAR, reason VARCHAR,
    prompt_tokens BIGINT NOT NULL, answer_tokens BIGINT NOT NULL, seconds DOUBLE NOT NULL,
    cut BOOLEAN NOT NULL, evolution INTEGER, made TIMESTAMP NOT NULL,
    CHECK ((text IS NULL) = (reason IS NOT NULL)));

CREATE TABLE evolutions (
    evolution INTEGER PRIMARY KEY, name VARCHAR NOT NULL UNIQUE, kind VARCHAR NOT NULL,
    model VARCHAR NOT NULL, prompts VARCHAR NOT NULL, rounds INTEGER NOT NULL,
    spec VARCHAR NOT NULL, unfit VARCHAR NOT NULL, author VARCHAR NOT NULL,
    made TIMESTAMP NOT NULL);
CREATE TABLE chains (
    evolution INTEGER NOT NULL, chain INTEGER NOT NULL, row INTEGER NOT NULL,
    turn INTEGER NOT NULL, done BOOLEAN NOT NULL DEFAULT false);
CREATE TABLE variants (
    evolution INTEGER NOT NULL, chain INTEGER NOT NULL, round INTEGER NOT NULL,
    attempt INTEGER NOT NULL, parent INTEGER, method VARCHAR, instruction VARCHAR NOT NULL,
    response VARCHAR, eliminated VARCHAR, detail VARCHAR, request VARCHAR,
    model VARCHAR NOT NULL, prompts VARCHAR NOT NULL, prompt_tokens BIGINT NOT NULL,
    answer_tokens BIGINT NOT NULL, seconds DOUBLE NOT NULL, answer_request VARCHAR);
CREATE TABLE rankings (
    evolution INTEGER NOT NULL, chain INTEGER NOT NULL, draw INTEGER NOT NULL,
    direct BOOLEAN NOT NULL, shown INTEGER[] NOT NULL, rounds INTEGER[] NOT NULL,
    scores DOUBLE[] NOT NULL, reason VARCHAR, requests VARCHAR[] NOT NULL,
    model VARCHAR NOT NULL, prompts VARCHAR NOT NULL);
CREATE TABLE rank_edits (
    number BIGINT PRIMARY KEY, evolution INTEGER NOT NULL, chain INTEGER NOT NULL,
    round INTEGER NOT NULL, score DOUBLE, before DOUBLE, replaces BIGINT, why VARCHAR NOT NULL,
    author VARCHAR NOT NULL, who VARCHAR NOT NULL, made TIMESTAMP NOT NULL);
CREATE TABLE turn_tags (
    scorer INTEGER NOT NULL, row INTEGER NOT NULL, turn INTEGER NOT NULL,
    given VARCHAR[] NOT NULL, tags VARCHAR[] NOT NULL);

CREATE TABLE views (
    view INTEGER PRIMARY KEY, name VARCHAR NOT NULL UNIQUE, filter VARCHAR NOT NULL,
    author VARCHAR NOT NULL, made TIMESTAMP NOT NULL);

CREATE TABLE jobs (
    job INTEGER PRIMARY KEY, kind VARCHAR NOT NULL, parameters VARCHAR NOT NULL,
    after INTEGER, state VARCHAR NOT NULL, progress VARCHAR NOT NULL,
    error VARCHAR, error_code VARCHAR, made TIMESTAMP NOT NULL,
    started TIMESTAMP, finished TIMESTAMP, person VARCHAR NOT NULL);

CREATE TABLE log (
    number BIGINT PRIMARY KEY, made TIMESTAMP NOT NULL, who VARCHAR NOT NULL, role VARCHAR NOT NULL,
    session VARCHAR NOT NULL, action VARCHAR NOT NULL, what VARCHAR NOT NULL);
"""
