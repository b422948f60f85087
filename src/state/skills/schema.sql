CREATE TABLE skill_invocations (
    seq INTEGER PRIMARY KEY,
    kept_ms INTEGER NOT NULL,
    time_ns INTEGER NOT NULL,
    skill_name TEXT NOT NULL,
    workflow_phase TEXT NOT NULL,
    workflow_path TEXT,
    completed INTEGER NOT NULL,
    duration_seconds REAL,
    session_id TEXT
);
CREATE TABLE skills (
    skill_id INTEGER PRIMARY KEY,
    skill_name TEXT NOT NULL UNIQUE,
    invocations INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    timed INTEGER NOT NULL,
    seconds REAL NOT NULL,
    first_ns INTEGER,
    newest_ns INTEGER,
    reported_rate REAL,
    reported_ns INTEGER,
    heard_ms INTEGER NOT NULL,
    phases TEXT NOT NULL
);
CREATE TABLE skill_days (
    day INTEGER NOT NULL,
    skill_id INTEGER NOT NULL,
    invocations INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    timed INTEGER NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (day, skill_id)
) WITHOUT ROWID;
CREATE TABLE skill_slots (
    skill_id INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    phase INTEGER NOT NULL,
    invocations INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    PRIMARY KEY (skill_id, slot, phase)
) WITHOUT ROWID;
CREATE TABLE anomalies (
    id INTEGER PRIMARY KEY,
    skill_name TEXT NOT NULL,
    anomaly_type TEXT NOT NULL,
    score REAL,
    first_ns INTEGER NOT NULL,
    last_ns INTEGER NOT NULL,
    detected INTEGER NOT NULL,
    heard_ms INTEGER NOT NULL
);
CREATE INDEX anomalies_by_time ON anomalies (last_ns);
CREATE INDEX anomalies_by_heard ON anomalies (heard_ms);
CREATE INDEX anomalies_found ON anomalies (skill_name, anomaly_type, heard_ms) WHERE detected = 1;
