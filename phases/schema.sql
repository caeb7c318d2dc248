-- The pipeline's tables. Times are ISO 8601 UTC with Z, dates YYYY-MM-DD, money US dollars with at most
-- four decimals (see money.py), shares of one (never percent). Plain types and upserts only, so that the
-- same statements run on PostgreSQL.

CREATE TABLE system_config (
  key TEXT PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 50),
  value TEXT NOT NULL,
  updated_at TEXT NOT NULL
) STRICT;

CREATE TABLE authors (
  id INTEGER PRIMARY KEY,
  username TEXT NOT NULL UNIQUE CHECK (length(username) BETWEEN 1 AND 50), -- a keyed pseudonym
  first_seen TEXT NOT NULL,
  total_comments INTEGER NOT NULL DEFAULT 0 CHECK (total_comments >= 0),
  high_quality_comments INTEGER NOT NULL DEFAULT 0 CHECK (high_quality_comments >= 0),
  total_upvotes INTEGER NOT NULL DEFAULT 0,
  avg_conviction_score REAL CHECK (avg_conviction_score BETWEEN 0 AND 1),
  avg_sentiment_accuracy REAL CHECK (avg_sentiment_accuracy BETWEEN 0 AND 1),
  flagged_comments INTEGER NOT NULL DEFAULT 0,
  last_active TEXT NOT NULL,
  known_until TEXT              -- the newest fact in the totals; a reader of an earlier instant counts anew
) STRICT;

CREATE TABLE reddit_posts (
  id INTEGER PRIMARY KEY,
  reddit_id TEXT NOT NULL UNIQUE CHECK (length(reddit_id) BETWEEN 1 AND 20),
  title TEXT NOT NULL,
  selftext TEXT NOT NULL DEFAULT '',
  author TEXT,
  created_utc TEXT,
  upvotes INTEGER NOT NULL DEFAULT 0,
  total_comments INTEGER NOT NULL DEFAULT 0,
  image_url TEXT,
  image_analysis TEXT,
  is_stub INTEGER NOT NULL DEFAULT 0 CHECK (is_stub IN (0, 1)), -- known only by its comments
  fetched_at TEXT NOT NULL
) STRICT;

-- Every call to a model that has ended: paid for once, and read again wherever the same is shown.
CREATE TABLE model_calls (
  id INTEGER PRIMARY KEY,
  run_id INTEGER NOT NULL REFERENCES analysis_runs (id), -- the run that paid
  content_hash TEXT NOT NULL CHECK (length(content_hash) = 64), -- model, prompt and all that was shown
  attempt INTEGER NOT NULL CHECK (attempt IN (1, 2)), -- 2 is the repair
  model TEXT NOT NULL,          -- as asked for
  served_model TEXT,            -- as the server names it
  prompt_version TEXT NOT NULL,
  prompt_hash TEXT NOT NULL CHECK (length(prompt_hash) = 64), -- of the messages as sent
  outcome TEXT NOT NULL,
  is_answer INTEGER NOT NULL CHECK (is_answer IN (0, 1)),
  reply TEXT,                   -- the body as it came, secrets hidden
  input_tokens INTEGER CHECK (input_tokens >= 0),
  output_tokens INTEGER CHECK (output_tokens >= 0),
  cost_nano_usd INTEGER CHECK (cost_nano_usd >= 0), -- US dollars times 10^9; NULL where no price is known
  created_at TEXT NOT NULL,
  CHECK (is_answer = 0 OR reply IS NOT NULL)
) STRICT;
CREATE INDEX model_calls_by_content ON model_calls (content_hash) WHERE is_answer = 1;
CREATE INDEX model_calls_by_run ON model_calls (run_id);
CREATE INDEX model_calls_by_time ON model_calls (created_at);

CREATE TABLE comments (
  id INTEGER PRIMARY KEY,
  analysis_run_id INTEGER NOT NULL REFERENCES analysis_runs (id), -- the run that saw it first
  post_id INTEGER NOT NULL REFERENCES reddit_posts (id),
  reddit_id TEXT NOT NULL UNIQUE CHECK (length(reddit_id) BETWEEN 1 AND 20),
  author TEXT,                  -- pseudonym; NULL where deleted, and never counted as a distinct user
  body TEXT,                    -- NULL where deleted or removed
  created_utc TEXT NOT NULL,
  score INTEGER NOT NULL,
  parent_reddit_id TEXT,        -- as the source gave it; the parent may come later or never
  parent_comment_id INTEGER REFERENCES comments (id),
  depth INTEGER NOT NULL DEFAULT 0 CHECK (depth >= 0),
  prioritization_score REAL,
  sentiment TEXT CHECK (sentiment IN ('bullish', 'bearish', 'neutral')),
  sarcasm_detected INTEGER CHECK (sarcasm_detected IN (0, 1)),
  has_reasoning INTEGER CHECK (has_reasoning IN (0, 1)),
  reasoning_summary TEXT,
  ai_confidence REAL CHECK (ai_confidence BETWEEN 0 AND 1),
  author_trust_score REAL CHECK (author_trust_score BETWEEN 0 AND 1),
  analyzer TEXT,                -- which analyser answered
  sketch TEXT,                  -- what copies of a long enough text have in common (see copies.py)
  model_call_id INTEGER REFERENCES model_calls (id), -- the reply that it was read from
  analyzed_at TEXT,
  conviction_score REAL CHECK (conviction_score BETWEEN 0 AND 1), -- set when its author's totals took it in
  CHECK ((analyzed_at IS NULL) = (sentiment IS NULL)),
  CHECK ((analyzed_at IS NULL) = (ai_confidence IS NULL)),
  CHECK (reasoning_summary IS NULL OR has_reasoning = 1)
) STRICT;
CREATE INDEX comments_by_post ON comments (post_id);
CREATE INDEX comments_by_author ON comments (author);
CREATE INDEX comments_by_time ON comments (created_utc);
CREATE INDEX comments_to_count ON comments (author) WHERE analyzed_at IS NOT NULL AND conviction_score IS NULL;
CREATE INDEX comments_by_parent ON comments (parent_reddit_id) WHERE parent_reddit_id IS NOT NULL;

-- Which comments a run looked at, and which it picked for analysis: history is never rewritten.
CREATE TABLE run_comments (
  run_id INTEGER NOT NULL REFERENCES analysis_runs (id),
  comment_id INTEGER NOT NULL REFERENCES comments (id),
  priority_score REAL,
  picked INTEGER NOT NULL DEFAULT 0 CHECK (picked IN (0, 1)),
  newly_analyzed INTEGER NOT NULL DEFAULT 0 CHECK (newly_analyzed IN (0, 1)),
  PRIMARY KEY (run_id, comment_id)
) STRICT, WITHOUT ROWID;

-- The UTC day whose signals a run makes: all runs of one day add to the same signals.
CREATE TABLE run_days (
  run_id INTEGER PRIMARY KEY REFERENCES analysis_runs (id),
  signal_date TEXT NOT NULL CHECK (length(signal_date) = 10)
) STRICT;
CREATE INDEX run_days_by_date ON run_days (signal_date);

CREATE TABLE comment_tickers (
  id INTEGER PRIMARY KEY,
  comment_id INTEGER NOT NULL REFERENCES comments (id),
  ticker TEXT NOT NULL CHECK (length(ticker) BETWEEN 1 AND 10),
  sentiment TEXT NOT NULL CHECK (sentiment IN ('bullish', 'bearish', 'neutral')),
  created_at TEXT NOT NULL,
  UNIQUE (comment_id, ticker)
) STRICT;
CREATE INDEX comment_tickers_by_ticker ON comment_tickers (ticker);

CREATE TABLE signals (
  id INTEGER PRIMARY KEY,
  signal_date TEXT NOT NULL CHECK (length(signal_date) = 10),
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  ticker TEXT NOT NULL CHECK (length(ticker) BETWEEN 1 AND 10),
  signal_type TEXT NOT NULL CHECK (signal_type IN ('quality', 'consensus')),
  sentiment_score REAL NOT NULL CHECK (sentiment_score BETWEEN -1 AND 1),
  prediction TEXT NOT NULL CHECK (prediction IN ('bullish', 'bearish')),
  confidence REAL NOT NULL CHECK (confidence BETWEEN 0 AND 1),
  comment_count INTEGER NOT NULL CHECK (comment_count > 0),
  has_reasoning INTEGER NOT NULL CHECK (has_reasoning IN (0, 1)),
  is_emergence INTEGER CHECK (is_emergence IN (0, 1)),
  prior_7d_mentions INTEGER NOT NULL CHECK (prior_7d_mentions >= 0),
  distinct_users INTEGER NOT NULL CHECK (distinct_users > 0),
  position_opened INTEGER NOT NULL DEFAULT 0 CHECK (position_opened IN (0, 1)),
  UNIQUE (ticker, signal_type, signal_date)
) STRICT;
CREATE INDEX signals_by_date ON signals (signal_date);

CREATE TABLE signal_comments (
  id INTEGER PRIMARY KEY,
  signal_id INTEGER NOT NULL REFERENCES signals (id),
  comment_id INTEGER NOT NULL REFERENCES comments (id),
  created_at TEXT NOT NULL,
  UNIQUE (signal_id, comment_id)
) STRICT;

CREATE TABLE portfolios (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  instrument_type TEXT NOT NULL CHECK (instrument_type IN ('stock', 'option')),
  signal_type TEXT NOT NULL CHECK (signal_type IN ('quality', 'consensus')),
  starting_capital REAL NOT NULL CHECK (starting_capital > 0),
  current_value REAL NOT NULL,
  cash_available REAL NOT NULL CHECK (cash_available >= 0),
  created_at TEXT NOT NULL
) STRICT;
INSERT INTO portfolios (name, instrument_type, signal_type, starting_capital, current_value, cash_available, created_at)
VALUES ('stocks_quality', 'stock', 'quality', 100000, 100000, 100000, strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
       ('stocks_consensus', 'stock', 'consensus', 100000, 100000, 100000, strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
       ('options_quality', 'option', 'quality', 100000, 100000, 100000, strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
       ('options_consensus', 'option', 'consensus', 100000, 100000, 100000, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'));

CREATE TABLE positions (
  id INTEGER PRIMARY KEY,
  portfolio_id INTEGER NOT NULL REFERENCES portfolios (id),
  signal_id INTEGER NOT NULL REFERENCES signals (id),
  ticker TEXT NOT NULL CHECK (length(ticker) BETWEEN 1 AND 10),
  instrument_type TEXT NOT NULL CHECK (instrument_type IN ('stock', 'option')),
  signal_type TEXT NOT NULL CHECK (signal_type IN ('quality', 'consensus')),
  direction TEXT NOT NULL CHECK (direction IN ('long', 'short', 'call', 'put')),
  confidence REAL NOT NULL CHECK (confidence BETWEEN 0 AND 1),
  position_size REAL NOT NULL CHECK (position_size > 0),  -- what was really paid
  entry_date TEXT NOT NULL,     -- exchange date
  entered_at TEXT NOT NULL,     -- monitoring looks at nothing earlier
  entry_price REAL NOT NULL CHECK (entry_price > 0),
  entry_basis TEXT NOT NULL,    -- which quote the fill used
  status TEXT NOT NULL CHECK (status IN ('open', 'closed')),
  last_checked_at TEXT NOT NULL,
  last_price REAL CHECK (last_price >= 0),
  last_price_at TEXT,
  shares INTEGER CHECK (shares > 0),
  shares_remaining INTEGER CHECK (shares_remaining BETWEEN 0 AND shares),
  stop_loss_price REAL,
  take_profit_price REAL,
  peak_price REAL,
  trailing_stop_active INTEGER NOT NULL DEFAULT 0 CHECK (trailing_stop_active IN (0, 1)),
  took_profit INTEGER NOT NULL DEFAULT 0 CHECK (took_profit IN (0, 1)),
  breakeven INTEGER NOT NULL DEFAULT 0 CHECK (breakeven IN (0, 1)),
  time_extension TEXT CHECK (time_extension IN ('base', 'extended', 'trailing')),
  option_type TEXT CHECK (option_type IN ('call', 'put')),
  strike_price REAL,
  expiration_date TEXT,
  contract_symbol TEXT,
  contracts INTEGER CHECK (contracts > 0),
  contracts_remaining INTEGER CHECK (contracts_remaining BETWEEN 0 AND contracts),
  premium_paid REAL,
  peak_premium REAL,
  underlying_price_at_entry REAL,
  exit_date TEXT,
  exit_reason TEXT,
  hold_days INTEGER CHECK (hold_days >= 0),
  realized_return_pct REAL,     -- a share of one, of what was really paid
  UNIQUE (signal_id, portfolio_id),
  CHECK ((instrument_type = 'stock') = (shares IS NOT NULL)),
  CHECK ((instrument_type = 'option') = (contracts IS NOT NULL)),
  CHECK ((status = 'closed') = (exit_date IS NOT NULL)),
  CHECK ((status = 'closed') = (coalesce(shares_remaining, contracts_remaining) = 0))
) STRICT;
CREATE INDEX positions_by_portfolio ON positions (portfolio_id, status);

CREATE TABLE position_exits (
  id INTEGER PRIMARY KEY,
  position_id INTEGER NOT NULL REFERENCES positions (id),
  exit_date TEXT NOT NULL,
  exited_at TEXT NOT NULL,
  exit_price REAL NOT NULL CHECK (exit_price >= 0),
  exit_reason TEXT NOT NULL CHECK (exit_reason IN ('stop_loss', 'take_profit', 'trailing_stop',
    'breakeven_stop', 'time_stop', 'expiration', 'manual', 'replaced')),
  note TEXT,                    -- a gap fill, or a person's reason
  quantity_pct REAL NOT NULL CHECK (quantity_pct > 0 AND quantity_pct <= 1),
  shares_exited INTEGER CHECK (shares_exited > 0),
  contracts_exited INTEGER CHECK (contracts_exited > 0),
  realized_pnl REAL NOT NULL,
  created_at TEXT NOT NULL,
  CHECK ((shares_exited IS NULL) <> (contracts_exited IS NULL))
) STRICT;
CREATE INDEX position_exits_by_position ON position_exits (position_id);

-- What splits did to open stock positions; a row here is what keeps a split from being applied twice.
CREATE TABLE position_splits (
  position_id INTEGER NOT NULL REFERENCES positions (id),
  effective_at TEXT NOT NULL,   -- the opening bell of the first session with new shares
  numerator INTEGER NOT NULL CHECK (numerator > 0),     -- so many new shares
  denominator INTEGER NOT NULL CHECK (denominator > 0), -- for so many old ones
  shares_before INTEGER NOT NULL CHECK (shares_before > 0),
  shares_after INTEGER NOT NULL CHECK (shares_after >= 0),
  cash_in_lieu REAL NOT NULL CHECK (cash_in_lieu >= 0), -- what whole shares at whole ticks can't express
  realized_pnl REAL NOT NULL,   -- of that cash
  created_at TEXT NOT NULL,
  PRIMARY KEY (position_id, effective_at)
) STRICT, WITHOUT ROWID;

-- What monitoring saw of the options that were held; shares have price_history.
CREATE TABLE option_marks (
  position_id INTEGER NOT NULL REFERENCES positions (id),
  at TEXT NOT NULL,             -- when the premium was made
  premium REAL NOT NULL CHECK (premium >= 0), -- for one share of the contract as it was then
  underlying_price REAL CHECK (underlying_price > 0),
  PRIMARY KEY (position_id, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE price_history (
  id INTEGER PRIMARY KEY,
  ticker TEXT NOT NULL CHECK (length(ticker) BETWEEN 1 AND 10),
  date TEXT NOT NULL CHECK (length(date) = 10),
  open REAL NOT NULL CHECK (open > 0),
  high REAL NOT NULL CHECK (high > 0),
  low REAL NOT NULL CHECK (low > 0),
  close REAL NOT NULL CHECK (close > 0),
  fetched_at TEXT NOT NULL,
  UNIQUE (ticker, date),
  CHECK (low <= open AND low <= close AND high >= open AND high >= close)
) STRICT;

-- What a comment's stance on a ticker would have brought as an option. Without a price it waits (unpriced) for
-- a later run of the session in which it may be bought, and says nothing if none comes.
CREATE TABLE predictions (
  id INTEGER PRIMARY KEY,
  comment_id INTEGER NOT NULL REFERENCES comments (id),
  ticker TEXT NOT NULL CHECK (length(ticker) BETWEEN 1 AND 10),
  sentiment TEXT NOT NULL CHECK (sentiment IN ('bullish', 'bearish')),
  option_type TEXT NOT NULL CHECK (option_type IN ('call', 'put')),
  analysis_run_id INTEGER NOT NULL REFERENCES analysis_runs (id), -- the run that wanted it first
  entry_date TEXT NOT NULL CHECK (length(entry_date) = 10), -- the session in which it is, or may be, bought
  status TEXT NOT NULL DEFAULT 'unpriced' CHECK (status IN ('tracking', 'resolved', 'unpriced')),
  strike_price REAL CHECK (strike_price > 0),
  expiration_date TEXT,
  contract_symbol TEXT,
  entry_premium REAL CHECK (entry_premium > 0), -- US dollars for one share, as are all premiums
  entry_basis TEXT,             -- which quote the entry used
  entered_at TEXT,
  last_checked_at TEXT,         -- the newest quote that was looked at
  contracts INTEGER CHECK (contracts > 0),
  contracts_remaining INTEGER CHECK (contracts_remaining BETWEEN 0 AND contracts),
  current_premium REAL CHECK (current_premium >= 0),
  peak_premium REAL CHECK (peak_premium >= 0),
  trailing_stop_active INTEGER NOT NULL DEFAULT 0 CHECK (trailing_stop_active IN (0, 1)),
  took_profit INTEGER NOT NULL DEFAULT 0 CHECK (took_profit IN (0, 1)),
  simulated_return_pct REAL,    -- a share of one, of what would have been paid
  is_correct INTEGER CHECK (is_correct IN (0, 1)),
  resolved_at TEXT,
  hitl_override TEXT CHECK (hitl_override IN ('correct', 'incorrect', 'excluded')),
  hitl_override_at TEXT,
  accuracy_applied_at TEXT,     -- since then the author's accuracy knows of it
  created_at TEXT NOT NULL,
  UNIQUE (comment_id, ticker),
  CHECK ((option_type = 'call') = (sentiment = 'bullish')),
  CHECK ((status = 'unpriced') = (contracts IS NULL)),
  CHECK ((contracts IS NULL) = (entry_premium IS NULL)),
  CHECK ((status = 'resolved') = (resolved_at IS NOT NULL)),
  CHECK ((status = 'resolved') = (is_correct IS NOT NULL)),
  CHECK ((status = 'resolved') = (coalesce(contracts_remaining, 1) = 0)),
  CHECK ((hitl_override IS NULL) = (hitl_override_at IS NULL))
) STRICT;
CREATE INDEX predictions_by_status ON predictions (status, ticker);
CREATE INDEX predictions_to_apply ON predictions (comment_id)
  WHERE status = 'resolved' AND accuracy_applied_at IS NULL;

CREATE TABLE prediction_outcomes (
  id INTEGER PRIMARY KEY,
  prediction_id INTEGER NOT NULL REFERENCES predictions (id),
  day_offset INTEGER NOT NULL CHECK (day_offset >= 0), -- calendar days since the entry
  premium REAL NOT NULL CHECK (premium >= 0),
  underlying_price REAL CHECK (underlying_price > 0),
  recorded_at TEXT NOT NULL,
  UNIQUE (prediction_id, day_offset)
) STRICT;

CREATE TABLE prediction_exits (
  id INTEGER PRIMARY KEY,
  prediction_id INTEGER NOT NULL REFERENCES predictions (id),
  exit_date TEXT NOT NULL,
  exited_at TEXT NOT NULL,
  exit_premium REAL NOT NULL CHECK (exit_premium >= 0),
  exit_reason TEXT NOT NULL CHECK (exit_reason IN ('stop_loss', 'take_profit', 'trailing_stop', 'time_stop',
    'expiration')),
  note TEXT,                    -- a gap fill, an approximation
  quantity_pct REAL NOT NULL CHECK (quantity_pct > 0 AND quantity_pct <= 1),
  contracts_exited INTEGER NOT NULL CHECK (contracts_exited > 0),
  simulated_pnl REAL NOT NULL,
  created_at TEXT NOT NULL
) STRICT;
CREATE INDEX prediction_exits_by_prediction ON prediction_exits (prediction_id);

-- Thirty days of a portfolio; all portfolios share one window, and the windows lie end to end. A window's
-- figures are those of the last look inside it, when portfolio and benchmark were valued at the same instant.
CREATE TABLE evaluation_periods (
  id INTEGER PRIMARY KEY,
  portfolio_id INTEGER NOT NULL REFERENCES portfolios (id),
  period_start TEXT NOT NULL CHECK (length(period_start) = 10), -- outside the window, but in the first one
  period_end TEXT NOT NULL CHECK (length(period_end) = 10),     -- inside
  instrument_type TEXT NOT NULL CHECK (instrument_type IN ('stock', 'option')),
  signal_type TEXT NOT NULL CHECK (signal_type IN ('quality', 'consensus')),
  status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'completed')),
  portfolio_return_pct REAL,    -- NULL where nobody looked inside the window
  sp500_return_pct REAL,        -- NULL where the benchmark had no price
  relative_performance REAL,
  beat_benchmark INTEGER CHECK (beat_benchmark IN (0, 1)),
  total_positions_closed INTEGER NOT NULL DEFAULT 0 CHECK (total_positions_closed >= 0),
  winning_positions INTEGER NOT NULL DEFAULT 0 CHECK (winning_positions >= 0),
  losing_positions INTEGER NOT NULL DEFAULT 0 CHECK (losing_positions >= 0),
  avg_return_pct REAL,
  signal_accuracy_pct REAL CHECK (signal_accuracy_pct BETWEEN 0 AND 1),
  value_at_period_start REAL NOT NULL,
  benchmark_at_period_start REAL CHECK (benchmark_at_period_start > 0),
  opened_at TEXT NOT NULL,      -- when the two were looked at
  last_value REAL NOT NULL,
  last_benchmark REAL CHECK (last_benchmark > 0),
  last_valued_at TEXT NOT NULL, -- when these two were
  created_at TEXT NOT NULL,
  UNIQUE (portfolio_id, period_start),
  CHECK (period_start < period_end),
  CHECK (opened_at <= last_valued_at),
  CHECK ((relative_performance IS NULL) = (beat_benchmark IS NULL))
) STRICT;
CREATE UNIQUE INDEX one_active_period ON evaluation_periods (portfolio_id) WHERE status = 'active';

-- What each portfolio was worth at the instants of the runs (see scoring/equity.py).
CREATE TABLE portfolio_values (
  portfolio_id INTEGER NOT NULL REFERENCES portfolios (id),
  valued_at TEXT NOT NULL,
  day TEXT NOT NULL CHECK (length(day) = 10), -- the exchange's date
  cash REAL NOT NULL CHECK (cash >= 0),
  held REAL NOT NULL CHECK (held >= 0), -- the open positions at their last known prices
  oldest_price_at TEXT,         -- when the oldest of those was made; NULL where nothing is held
  benchmark REAL CHECK (benchmark > 0), -- NULL where it had no price
  PRIMARY KEY (portfolio_id, valued_at),
  CHECK (held = 0 OR oldest_price_at IS NOT NULL)
) STRICT, WITHOUT ROWID;
