-- What a replay knows beyond its runs; these tables are in its own database only.

CREATE TABLE replay_plan (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  plan TEXT NOT NULL CHECK (json_valid(plan)),
  created_at TEXT NOT NULL
) STRICT;

-- Written after a run has completed and before the next one starts.
CREATE TABLE replay_moments (
  as_of TEXT PRIMARY KEY,
  day TEXT NOT NULL CHECK (length(day) = 10),   -- the exchange's date
  run_id INTEGER NOT NULL UNIQUE REFERENCES analysis_runs (id),
  benchmark REAL CHECK (benchmark > 0)          -- US dollars, NULL where no price was known
) STRICT, WITHOUT ROWID;

CREATE TABLE replay_values (
  as_of TEXT NOT NULL REFERENCES replay_moments (as_of),
  portfolio_id INTEGER NOT NULL REFERENCES portfolios (id),
  value REAL NOT NULL CHECK (value >= 0),       -- US dollars, at the prices of `as_of`
  PRIMARY KEY (as_of, portfolio_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER only_runs_of_the_replay BEFORE INSERT ON analysis_runs
WHEN json_extract(NEW.params, '$.replay') IS NULL
BEGIN SELECT RAISE(ABORT, 'this database belongs to a replay; run other analyses in another one (PHASELINE_DB)'); END;
