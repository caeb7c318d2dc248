BEGIN TRANSACTION;
CREATE TABLE analysis_runs (
  id INTEGER PRIMARY KEY,
  status TEXT NOT NULL CHECK (status IN ('running', 'completed', 'failed')),
  state TEXT NOT NULL,
  current_phase INTEGER NOT NULL,
  phase_label TEXT NOT NULL,
  progress_current INTEGER NOT NULL CHECK (progress_current BETWEEN 1 AND progress_total),
  progress_total INTEGER NOT NULL,
  step_current INTEGER CHECK (step_current >= 0),
  step_total INTEGER CHECK (step_total >= step_current),
  step_unit TEXT,
  params TEXT NOT NULL CHECK (json_valid(params)),
  results TEXT NOT NULL CHECK (json_valid(results)),
  warnings TEXT CHECK (warnings IS NULL OR json_valid(warnings)),
  started_at TEXT NOT NULL,
  updated_at TEXT NOT NULL CHECK (updated_at >= started_at),
  completed_at TEXT CHECK (completed_at >= started_at),
  error_code TEXT CHECK (error_code IN ('error', 'timeout', 'cancelled', 'interrupted', 'attempts_exhausted')),
  error_message TEXT CHECK (error_message <> ''),
  attempt INTEGER NOT NULL CHECK (attempt >= 1),
  version INTEGER NOT NULL CHECK (version >= 1),
  active_s REAL NOT NULL CHECK (active_s >= 0),   -- seconds of active time up to the last commit
  owner TEXT,                    -- the token of the process that drives it, NULL where none does
  registry TEXT NOT NULL,
  cancel_requested INTEGER NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)),
  CHECK ((status = 'completed') = (state = 'completed')),
  CHECK ((status = 'failed') = (state = 'failed')),
  CHECK ((status = 'completed') = (completed_at IS NOT NULL)),
  CHECK (status <> 'completed' OR progress_current = progress_total),
  CHECK ((status = 'failed') = (error_code IS NOT NULL)),
  CHECK ((status = 'failed') = (error_message IS NOT NULL)),
  CHECK (status = 'running' OR owner IS NULL)
) STRICT;
INSERT INTO "analysis_runs" VALUES(1,'completed','completed',4,'Judging golden rows',2,2,NULL,NULL,NULL,'{"golden":true,"words":["a","b"]}','{"rows_1":4,"rows_2":4}','[{"type":"golden","message":"a warning with its context","timestamp":"2026-11-22T03:03:03.503Z","context":{"item":1}}]','2026-11-22T03:03:03.480Z','2026-11-22T03:03:03.510Z','2026-11-22T03:03:03.510Z',NULL,NULL,1,5,3.00262069977179635316e-02,NULL,'30bf7a5dc8c4d734',0);
CREATE TABLE golden_rows (
  run_id INTEGER NOT NULL, phase INTEGER NOT NULL, item INTEGER NOT NULL, PRIMARY KEY (run_id, phase, item)
) STRICT;
INSERT INTO "golden_rows" VALUES(1,1,1);
INSERT INTO "golden_rows" VALUES(1,1,2);
INSERT INTO "golden_rows" VALUES(1,1,3);
INSERT INTO "golden_rows" VALUES(1,1,4);
INSERT INTO "golden_rows" VALUES(1,2,1);
INSERT INTO "golden_rows" VALUES(1,2,2);
INSERT INTO "golden_rows" VALUES(1,2,3);
INSERT INTO "golden_rows" VALUES(1,2,4);
CREATE TABLE idempotency_keys (
  key TEXT PRIMARY KEY,
  request TEXT NOT NULL,         -- a hash of what was asked
  run_id INTEGER NOT NULL REFERENCES analysis_runs (id)
) STRICT, WITHOUT ROWID;
INSERT INTO "idempotency_keys" VALUES('golden','956bd4b8628171a55bc3d6e17886b1d98110b7d604f8e89dc16278ec0657e67a',1);
CREATE TABLE registry_edges (
  registry TEXT NOT NULL,
  source TEXT NOT NULL,          -- '' for start
  dest TEXT NOT NULL,
  trigger TEXT NOT NULL,
  phase INTEGER,                 -- the number of the phase that dest is, NULL where it is none
  only_where_it_failed INTEGER NOT NULL CHECK (only_where_it_failed IN (0, 1)),
  PRIMARY KEY (registry, source, dest, trigger)
) STRICT, WITHOUT ROWID;
INSERT INTO "registry_edges" VALUES('30bf7a5dc8c4d734','','collecting_golden_rows','start',1,0);
INSERT INTO "registry_edges" VALUES('30bf7a5dc8c4d734','collecting_golden_rows','collecting_golden_rows','resume',1,0);
INSERT INTO "registry_edges" VALUES('30bf7a5dc8c4d734','collecting_golden_rows','failed','cancel',NULL,0);
INSERT INTO "registry_edges" VALUES('30bf7a5dc8c4d734','collecting_golden_rows','failed','fail',NULL,0);
INSERT INTO "registry_edges" VALUES('30bf7a5dc8c4d734','collecting_golden_rows','failed','time_out',NULL,0);
INSERT INTO "registry_edges" VALUES('30bf7a5dc8c4d734','collecting_golden_rows','judging_golden_rows','advance',4,0);
INSERT INTO "registry_edges" VALUES('30bf7a5dc8c4d734','failed','collecting_golden_rows','resume',1,1);
INSERT INTO "registry_edges" VALUES('30bf7a5dc8c4d734','failed','judging_golden_rows','resume',4,1);
INSERT INTO "registry_edges" VALUES('30bf7a5dc8c4d734','judging_golden_rows','completed','advance',NULL,0);
INSERT INTO "registry_edges" VALUES('30bf7a5dc8c4d734','judging_golden_rows','failed','cancel',NULL,0);
INSERT INTO "registry_edges" VALUES('30bf7a5dc8c4d734','judging_golden_rows','failed','fail',NULL,0);
INSERT INTO "registry_edges" VALUES('30bf7a5dc8c4d734','judging_golden_rows','failed','time_out',NULL,0);
INSERT INTO "registry_edges" VALUES('30bf7a5dc8c4d734','judging_golden_rows','judging_golden_rows','resume',4,0);
CREATE TABLE run_events (
  seq INTEGER PRIMARY KEY,
  run_id INTEGER NOT NULL REFERENCES analysis_runs (id),
  at TEXT NOT NULL,
  trigger TEXT NOT NULL,
  source TEXT NOT NULL,
  dest TEXT NOT NULL,
  phase INTEGER NOT NULL,        -- the number of the phase that the run is in, or failed or completed in
  attempt INTEGER NOT NULL,
  detail TEXT CHECK (detail IS NULL OR json_valid(detail))
) STRICT;
INSERT INTO "run_events" VALUES(1,1,'2026-11-22T03:03:03.480Z','start','','collecting_golden_rows',1,1,NULL);
INSERT INTO "run_events" VALUES(2,1,'2026-11-22T03:03:03.506Z','advance','collecting_golden_rows','judging_golden_rows',4,1,NULL);
INSERT INTO "run_events" VALUES(3,1,'2026-11-22T03:03:03.510Z','advance','judging_golden_rows','completed',4,1,NULL);
INSERT INTO "run_events" VALUES(4,1,'2026-11-22T03:03:03.512Z','cancel','completed','completed',4,1,'{"refused":"can''t cancel run 1: it is in ''completed'', which allows nothing more"}');
CREATE TABLE schema_versions (part TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "schema_versions" VALUES('engine',1);
INSERT INTO "schema_versions" VALUES('golden',1);
CREATE INDEX active_runs ON analysis_runs (id) WHERE status = 'running';
CREATE INDEX runs_by_status ON analysis_runs (status, id) WHERE status <> 'running';
CREATE INDEX events_by_run ON run_events (run_id);
CREATE TRIGGER edges_are_fixed_1 BEFORE UPDATE ON registry_edges
BEGIN SELECT RAISE(ABORT, 'the table is fixed'); END;
CREATE TRIGGER edges_are_fixed_2 BEFORE DELETE ON registry_edges
BEGIN SELECT RAISE(ABORT, 'the table is fixed'); END;
CREATE TRIGGER edges_are_fixed_3 BEFORE INSERT ON registry_edges   -- start is written last, and closes it
WHEN EXISTS (SELECT 1 FROM registry_edges WHERE registry = NEW.registry AND source = '')
BEGIN SELECT RAISE(ABORT, 'the table is fixed'); END;
CREATE TRIGGER runs_start_by_the_table BEFORE INSERT ON analysis_runs
WHEN NOT EXISTS (SELECT 1 FROM registry_edges
                 WHERE registry = NEW.registry AND source = '' AND dest = NEW.state AND phase = NEW.current_phase)
BEGIN SELECT RAISE(ABORT, 'no edge of the table starts a run like this'); END;
CREATE TRIGGER runs_move_by_the_table BEFORE UPDATE ON analysis_runs
WHEN NEW.state <> OLD.state
 AND NOT EXISTS (SELECT 1 FROM registry_edges
                 WHERE registry = OLD.registry AND source = OLD.state AND dest = NEW.state
                   AND coalesce(phase, OLD.current_phase) = NEW.current_phase
                   AND (only_where_it_failed = 0 OR phase = OLD.current_phase))
BEGIN SELECT RAISE(ABORT, 'no edge of the table moves a run like this'); END;
CREATE TRIGGER runs_that_ended_are_sealed BEFORE UPDATE ON analysis_runs
WHEN OLD.status <> 'running' AND NEW.state = OLD.state
BEGIN SELECT RAISE(ABORT, 'a run that has ended changes only by an edge of the table'); END;
CREATE TRIGGER runs_keep_their_identity BEFORE UPDATE OF id, registry, params, started_at, progress_total ON analysis_runs
BEGIN SELECT RAISE(ABORT, 'what a run is never changes'); END;
CREATE TRIGGER runs_show_their_last_boundary BEFORE UPDATE OF current_phase, phase_label, progress_current ON analysis_runs
WHEN OLD.status = 'running' AND NEW.state = OLD.state
 AND (NEW.current_phase, NEW.phase_label, NEW.progress_current)
  <> (OLD.current_phase, OLD.phase_label, OLD.progress_current)
BEGIN SELECT RAISE(ABORT, 'these figures change only at a boundary'); END;
CREATE TRIGGER runs_are_kept_1 BEFORE DELETE ON analysis_runs
BEGIN SELECT RAISE(ABORT, 'runs are kept'); END;
CREATE TRIGGER runs_are_kept_2 BEFORE INSERT ON analysis_runs   -- REPLACE removes a row without a word
WHEN EXISTS (SELECT 1 FROM analysis_runs WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'runs are kept'); END;
CREATE TRIGGER events_follow_the_table BEFORE INSERT ON run_events
WHEN NOT EXISTS (SELECT 1 FROM analysis_runs AS run JOIN registry_edges AS edge ON edge.registry = run.registry
                 WHERE run.id = NEW.run_id AND run.state = NEW.dest
                   AND edge.source = NEW.source AND edge.dest = NEW.dest AND edge.trigger = NEW.trigger)
 AND NOT (NEW.source = NEW.dest AND json_extract(NEW.detail, '$.refused') IS NOT NULL)
BEGIN SELECT RAISE(ABORT, 'no edge of the table is like this event'); END;
CREATE TRIGGER events_are_append_only_1 BEFORE UPDATE ON run_events
BEGIN SELECT RAISE(ABORT, 'run_events is append-only'); END;
CREATE TRIGGER events_are_append_only_2 BEFORE DELETE ON run_events
BEGIN SELECT RAISE(ABORT, 'run_events is append-only'); END;
CREATE TRIGGER events_are_append_only_3 BEFORE INSERT ON run_events
WHEN EXISTS (SELECT 1 FROM run_events WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'run_events is append-only'); END;
COMMIT;
