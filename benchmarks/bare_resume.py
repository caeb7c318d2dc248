"""The floor of a resume: a process that moves one row, and gets to work on a thread of its own."""

import sqlite3
import sys
import threading
import time

conn = sqlite3.connect(sys.argv[1], isolation_level=None)
conn.execute("PRAGMA journal_mode = WAL")
conn.execute("PRAGMA synchronous = FULL")
conn.execute("BEGIN IMMEDIATE")
conn.execute("UPDATE analysis_runs SET version = version + 1, attempt = attempt + 1, owner = 'me'")
conn.execute("INSERT INTO run_events (run_id, trigger) VALUES (1, 'resume')")
conn.execute("COMMIT")
threading.Thread(target=lambda: print(time.monotonic())).start()
