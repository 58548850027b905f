-- The ledger's schema, version 6. Frozen once released: an opened file is compared with it word for word.
PRAGMA application_id = 1112752978; PRAGMA user_version = 6;  -- 'BSCR'
CREATE TABLE keeper (                -- one row: who writes. ledger: 16 random hex digits; epoch: +1 whenever a process takes the ledger
  one INTEGER PRIMARY KEY CHECK (one = 1), ledger TEXT NOT NULL, epoch INTEGER NOT NULL, owed_seq INTEGER NOT NULL DEFAULT 0,   -- owed_seq: last one given
  host TEXT, pid INTEGER, boot TEXT, version TEXT, since INTEGER, closed_at INTEGER) STRICT;
CREATE TABLE account (               -- whose money; identity = BLAKE3 of organisation and project as the server names them, never of the key
  id INTEGER PRIMARY KEY, base_url TEXT NOT NULL, identity TEXT NOT NULL, UNIQUE (base_url, identity)) STRICT;
CREATE TABLE allowance (             -- the enqueued-token limit; what is used of it is a sum over batch and stored nowhere
  account_id INTEGER NOT NULL REFERENCES account, model TEXT NOT NULL, limit_tokens INTEGER CHECK (limit_tokens > 0), told_at INTEGER,
  penalty_until INTEGER NOT NULL DEFAULT 0, penalty_step INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (account_id, model)) STRICT, WITHOUT ROWID;
CREATE TABLE price (                 -- pUSD per token; 1 USD per million tokens = 1 000 000 pUSD per token
  id INTEGER PRIMARY KEY, model TEXT NOT NULL, as_of TEXT NOT NULL, source TEXT NOT NULL, input_pusd INTEGER NOT NULL,
  cached_pusd INTEGER NOT NULL, output_pusd INTEGER NOT NULL, UNIQUE (model, as_of, source, input_pusd, cached_pusd, output_pusd)) STRICT;
CREATE TABLE run (                   -- name: for people, 2026-11-22-a; tag: random, unique in the account, goes into metadata and upload names
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, tag TEXT NOT NULL UNIQUE CHECK (length(tag) = 12),
  origin TEXT NOT NULL CHECK (origin IN ('own', 'import')), account_id INTEGER NOT NULL REFERENCES account, settings TEXT NOT NULL,
  version TEXT NOT NULL, started_at INTEGER NOT NULL) STRICT;
CREATE TABLE recipe (                -- model, prompt, parameters, preparation; prefix and suffix of every line come from here
  id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 16), kind TEXT NOT NULL CHECK (kind IN ('read', 'deep')),
  id_style TEXT NOT NULL CHECK (id_style IN ('path', 'opaque')), step INTEGER NOT NULL CHECK (step > 0), model TEXT NOT NULL, endpoint TEXT NOT NULL,
  prompt TEXT NOT NULL, parameters TEXT NOT NULL) STRICT;
CREATE TABLE corpus (                -- root: absolute, links resolved, may move; given: as the user wrote it, custom_id is made from it
  id INTEGER PRIMARY KEY, root BLOB NOT NULL UNIQUE, given BLOB NOT NULL, walked_at INTEGER) STRICT;
CREATE TABLE directory (             -- path below the root, '/' between the parts, empty for the root itself
  id INTEGER PRIMARY KEY, corpus_id INTEGER NOT NULL REFERENCES corpus, path BLOB NOT NULL, UNIQUE (corpus_id, path)) STRICT;
CREATE TABLE shard (                 -- a sealed plan; its line rows in the order of pos are the plan. bytes: the exact Content-Length
  id INTEGER PRIMARY KEY, tag TEXT NOT NULL UNIQUE CHECK (length(tag) = 12), run_id INTEGER NOT NULL REFERENCES run,
  recipe_id INTEGER NOT NULL REFERENCES recipe, price_id INTEGER REFERENCES price,          -- price_id NULL: cost unknown, never zero
  state TEXT NOT NULL CHECK (state IN ('sealed', 'uploaded', 'opening', 'spent', 'gone', 'dissolved')),
  owner TEXT, epoch INTEGER NOT NULL DEFAULT 0, lease_until INTEGER, not_before INTEGER NOT NULL DEFAULT 0,
  seal TEXT NOT NULL CHECK (seal IN ('bytes', 'lines', 'tokens', 'dry', 'age', 'drain', 'import')), sealed_at INTEGER NOT NULL,
  lines INTEGER NOT NULL CHECK (lines > 0), bytes INTEGER NOT NULL, est_tokens INTEGER NOT NULL CHECK (est_tokens > 0), worst_musd INTEGER,
  body_hash BLOB CHECK (length(body_hash) = 16), input_file_id TEXT UNIQUE, input_created INTEGER,  -- XXH3-128 of the first whole body; the server's clock, seconds
  CHECK (state NOT IN ('uploaded', 'opening') OR (input_file_id IS NOT NULL AND body_hash IS NOT NULL))) STRICT;
-- What is asked at every write of an image is asked with OR: for an IN of more than two words SQLite builds a table each time.
-- image.needs: what has to be done to a picture before it can be sent; NULL: nothing, its bytes are sent
-- image.shard_id: of a copy that is served, the shard in which its original was asked then
-- image.sample: hash of some of its bytes, taken once another file has its length; -1: a copy, which is nobody's original
CREATE TABLE image (                 -- a file of the corpus, or one page of it
  id INTEGER PRIMARY KEY, directory_id INTEGER NOT NULL REFERENCES directory, name BLOB NOT NULL, page INTEGER NOT NULL DEFAULT 1,
  bytes INTEGER NOT NULL, mtime_ms INTEGER NOT NULL, width INTEGER, height INTEGER,         -- bytes, mtime_ms: the stamp; frozen while packed
  format TEXT,                                                      -- what its first bytes say it is; NULL where it was never measured
  state TEXT NOT NULL CHECK (state = 'owed' OR state = 'packed' OR state = 'done' OR state = 'rough' OR state = 'failed' OR state = 'skipped'), reason TEXT,
  content BLOB CHECK (length(content) = 16), deep INTEGER NOT NULL DEFAULT 0 CHECK (deep IN (0, 1)),   -- BLAKE3, with hash_images; for deep cleaning
  asked INTEGER NOT NULL DEFAULT 0, gaps INTEGER NOT NULL DEFAULT 0, owed_seq INTEGER,      -- counted tries; uncounted returns; place in the feed
  shard_id INTEGER REFERENCES shard,                                -- the latest shard it was packed in; stays
  text TEXT CHECK (text = 'txt' OR text = 'api' OR text = 'page' OR text = 'kept'), text_hash BLOB CHECK (length(text_hash) = 16), needs TEXT CHECK (needs IN ('turning', 'converting')), sample INTEGER,  -- page: waits for its siblings; kept: a person's stands
  UNIQUE (directory_id, name, page), CHECK ((state = 'owed') = (owed_seq IS NOT NULL)), CHECK (state <> 'packed' OR shard_id IS NOT NULL),
  CHECK (state NOT IN ('done', 'rough') OR text IS NOT NULL), CHECK ((text IS NULL) = (text_hash IS NULL)),
  CHECK ((state IN ('failed', 'skipped')) = (reason IS NOT NULL))) STRICT;
CREATE TABLE note (                  -- what few images have: id or text name beside the plain rule, changes of the file, a person's doings
  image_id INTEGER PRIMARY KEY REFERENCES image, custom_id TEXT UNIQUE, text_name BLOB, changes INTEGER NOT NULL DEFAULT 0,
  edited_at INTEGER, review TEXT CHECK (review IN ('good', 'needs_work', 'unreadable'))) STRICT;
CREATE TABLE line (                  -- one request of a shard; later its answer's verdict and usage. pos from 1; bytes with the newline
  shard_id INTEGER NOT NULL REFERENCES shard, image_id INTEGER NOT NULL REFERENCES image, pos INTEGER NOT NULL CHECK (pos > 0),
  bytes INTEGER NOT NULL, prepared TEXT,                            -- JSON: ending, width, height, turned, BLAKE3 of what is sent; NULL: the image itself
  verdict TEXT, flags TEXT, prompt_tokens INTEGER, cached_tokens INTEGER, output_tokens INTEGER, reasoning_tokens INTEGER,
  PRIMARY KEY (shard_id, image_id)) STRICT, WITHOUT ROWID;
CREATE TABLE wish (                  -- what the next request for an image changes; no row: nothing. after: reason of the verdict that asks again;
  image_id INTEGER PRIMARY KEY REFERENCES image, after TEXT, said BLOB CHECK (length(said) = 16),  -- said: BLAKE3 of the text that was doubted
  model TEXT) STRICT;                                               -- ordered by a person; a row of nothing else: put back after it had failed
CREATE TABLE ink (                   -- share of dark pixels of an image, measured where its answer was doubtful
  image_id INTEGER PRIMARY KEY REFERENCES image, ink REAL NOT NULL CHECK (ink BETWEEN 0 AND 1)) STRICT;
CREATE TABLE cleaning (              -- what cleaning did to an answer: a JSON list of rules, each with what it took
  shard_id INTEGER NOT NULL, image_id INTEGER NOT NULL, rules TEXT NOT NULL, PRIMARY KEY (shard_id, image_id),
  FOREIGN KEY (shard_id, image_id) REFERENCES line (shard_id, image_id)) STRICT, WITHOUT ROWID;
CREATE TABLE copy (                  -- a file with the bytes of another one, whose answer is its own. ended: the original has ended, or one of the two
  image_id INTEGER PRIMARY KEY REFERENCES image, original_id INTEGER NOT NULL REFERENCES image,  -- is another file now; ready: its text can be
  stands TEXT NOT NULL CHECK (stands IN ('waiting', 'ended', 'ready', 'served', 'alone')),       -- written; alone: was a copy once, and is asked by itself
  CHECK (image_id <> original_id)) STRICT;
CREATE TABLE copies (                -- one row: how many copies wait (ended and ready ones among them), by the triggers of copy
  one INTEGER PRIMARY KEY CHECK (one = 1), waiting INTEGER NOT NULL, ended INTEGER NOT NULL, ready INTEGER NOT NULL) STRICT;
INSERT INTO copies VALUES (1, 0, 0, 0);
CREATE TABLE batch (                 -- one try to have a shard answered; the row is written BEFORE the request
  id INTEGER PRIMARY KEY, shard_id INTEGER NOT NULL REFERENCES shard, attempt INTEGER NOT NULL CHECK (attempt > 0),
  state TEXT NOT NULL CHECK (state IN ('opening', 'open', 'ended', 'fetched', 'settled', 'refused', 'void')),
  owner TEXT, epoch INTEGER NOT NULL, lease_until INTEGER, input_file_id TEXT NOT NULL, batch_id TEXT UNIQUE, model_told TEXT,
  stray INTEGER NOT NULL DEFAULT 0 CHECK (stray IN (0, 1)), adopted INTEGER NOT NULL DEFAULT 0 CHECK (adopted IN (0, 1)),
  intent_at INTEGER NOT NULL, doubt_at INTEGER, fenced_at INTEGER, opened_at INTEGER, expires_at INTEGER, ended_at INTEGER,
  ending TEXT CHECK (ending IN ('completed', 'expired', 'cancelled', 'refused', 'turned_away', 'vanished')), refusal TEXT,
  output_file_id TEXT, output_bytes INTEGER, output_sha256 BLOB CHECK (length(output_sha256) = 32),
  error_file_id TEXT, error_bytes INTEGER, error_sha256 BLOB CHECK (length(error_sha256) = 32), results_until INTEGER,
  prompt_tokens INTEGER, cached_tokens INTEGER, output_tokens INTEGER, reasoning_tokens INTEGER,     -- usage as the batch object tells it
  fetched_at INTEGER, settled_at INTEGER, swept_at INTEGER,
  CHECK (CASE WHEN state IN ('opening', 'void') THEN batch_id IS NULL WHEN state <> 'refused' THEN batch_id IS NOT NULL ELSE refusal IS NOT NULL END),
  CHECK (state NOT IN ('ended', 'fetched', 'settled') OR ending IS NOT NULL), CHECK (state <> 'void' OR fenced_at IS NOT NULL),
  CHECK (state <> 'fetched' OR ((output_file_id IS NULL OR output_sha256 IS NOT NULL) AND (error_file_id IS NULL OR error_sha256 IS NOT NULL)))) STRICT;
CREATE TABLE event (                 -- money moves and oddities, append-only
  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, epoch INTEGER NOT NULL, what TEXT NOT NULL, run_id INTEGER, shard_id INTEGER, batch INTEGER,
  image_id INTEGER, detail TEXT) STRICT;
CREATE INDEX image_owed   ON image (owed_seq) WHERE state = 'owed';
CREATE INDEX image_packed ON image (shard_id) WHERE state = 'packed';
CREATE INDEX image_ended  ON image (state, reason) WHERE state = 'rough' OR state = 'failed' OR state = 'skipped';
CREATE INDEX image_alike  ON image (bytes, sample);
CREATE INDEX line_flagged ON line (image_id, shard_id) WHERE flags IS NOT NULL;
CREATE INDEX copy_of      ON copy (original_id);
CREATE INDEX copy_todo    ON copy (stands, image_id) WHERE stands IN ('ended', 'ready');
CREATE INDEX shard_todo   ON shard (state, id) WHERE state IN ('sealed', 'uploaded', 'opening');
CREATE INDEX batch_todo   ON batch (state, id) WHERE state IN ('opening', 'open', 'ended', 'fetched');
CREATE INDEX batch_sweep  ON batch (id) WHERE state = 'settled' AND swept_at IS NULL;
CREATE UNIQUE INDEX batch_attempt       ON batch (shard_id, attempt) WHERE stray = 0;
CREATE UNIQUE INDEX batch_one_per_shard ON batch (shard_id)      WHERE stray = 0 AND state NOT IN ('refused', 'void');
CREATE UNIQUE INDEX batch_one_per_file  ON batch (input_file_id) WHERE stray = 0 AND state NOT IN ('refused', 'void');
CREATE TRIGGER image_move BEFORE UPDATE OF state ON image WHEN OLD.state <> NEW.state AND instr(
  ' owed>packed owed>failed owed>rough owed>done packed>done packed>rough packed>owed packed>failed rough>owed done>owed failed>owed skipped>owed rough>done failed>done done>rough failed>rough ',
  ' ' || OLD.state || '>' || NEW.state || ' ') = 0
BEGIN SELECT RAISE(ABORT, 'illegal move of an image'); END;
CREATE TRIGGER image_gift BEFORE UPDATE OF state ON image WHEN OLD.state = 'owed' AND NEW.state = 'done'
  AND NOT EXISTS (SELECT 1 FROM copy WHERE image_id = NEW.id AND stands = 'served')
BEGIN SELECT RAISE(ABORT, 'illegal move of an image: only a copy is done without having been asked'); END;
CREATE TRIGGER copy_ends AFTER UPDATE OF state ON image WHEN OLD.state <> NEW.state BEGIN UPDATE copy SET stands = 'ended'
  WHERE original_id = NEW.id AND (stands = 'waiting' AND NEW.state IN ('done', 'rough', 'failed') OR stands = 'ready'); END;
CREATE TRIGGER copy_differs AFTER UPDATE OF bytes, mtime_ms, content ON image
WHEN (OLD.bytes, OLD.mtime_ms, OLD.content) IS NOT (NEW.bytes, NEW.mtime_ms, NEW.content)
BEGIN UPDATE copy SET stands = 'ended' WHERE (image_id = NEW.id OR original_id = NEW.id) AND stands IN ('waiting', 'ready'); END;
CREATE TRIGGER copy_moves AFTER UPDATE OF state ON image WHEN OLD.state <> NEW.state BEGIN
  UPDATE copy SET stands = 'alone' WHERE image_id = NEW.id AND (stands IN ('waiting', 'ended', 'ready') OR stands = 'served' AND NEW.state IN ('owed', 'packed'));
  UPDATE image SET sample = NULL WHERE id = NEW.id AND sample = -1 AND NEW.state IN ('owed', 'packed'); END;
CREATE TRIGGER copy_comes AFTER INSERT ON copy BEGIN UPDATE copies SET waiting = waiting + (NEW.stands IN ('waiting', 'ended', 'ready')),
  ended = ended + (NEW.stands = 'ended'), ready = ready + (NEW.stands = 'ready'); END;
CREATE TRIGGER copy_goes_on AFTER UPDATE OF stands ON copy WHEN OLD.stands <> NEW.stands BEGIN UPDATE copies SET
  waiting = waiting + (NEW.stands IN ('waiting', 'ended', 'ready')) - (OLD.stands IN ('waiting', 'ended', 'ready')),
  ended = ended + (NEW.stands = 'ended') - (OLD.stands = 'ended'), ready = ready + (NEW.stands = 'ready') - (OLD.stands = 'ready'); END;
CREATE TRIGGER shard_move BEFORE UPDATE OF state ON shard WHEN OLD.state <> NEW.state AND OLD.state || '>' || NEW.state NOT IN ('sealed>uploaded',
  'sealed>dissolved', 'uploaded>opening', 'uploaded>dissolved', 'opening>spent', 'opening>uploaded', 'opening>sealed', 'spent>uploaded', 'spent>gone')
BEGIN SELECT RAISE(ABORT, 'illegal move of a shard'); END;
CREATE TRIGGER batch_move BEFORE UPDATE OF state ON batch WHEN OLD.state <> NEW.state AND OLD.state || '>' || NEW.state NOT IN ('opening>open',
  'opening>refused', 'opening>void', 'open>ended', 'ended>fetched', 'ended>settled', 'ended>refused', 'fetched>settled')
  OR OLD.state = 'ended' AND NEW.state = 'settled' AND coalesce(NEW.output_file_id, NEW.error_file_id) IS NOT NULL
  OR OLD.state = 'ended' AND NEW.state = 'refused' AND NEW.ending <> 'turned_away'
BEGIN SELECT RAISE(ABORT, 'illegal move of a batch'); END;
CREATE TRIGGER batch_same BEFORE UPDATE OF batch_id, input_file_id, shard_id, attempt ON batch WHEN NEW.batch_id IS NOT coalesce(OLD.batch_id, NEW.batch_id)
  OR (OLD.input_file_id, OLD.shard_id, OLD.attempt) <> (NEW.input_file_id, NEW.shard_id, NEW.attempt)
BEGIN SELECT RAISE(ABORT, 'the identity of a batch never changes'); END;
CREATE TRIGGER image_stays BEFORE DELETE ON image BEGIN SELECT RAISE(ABORT, 'never deleted'); END; CREATE TRIGGER batch_stays BEFORE DELETE ON batch BEGIN SELECT RAISE(ABORT, 'never deleted'); END;
CREATE TRIGGER event_stays BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'never deleted'); END; CREATE TRIGGER event_same BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'never changed'); END;
CREATE VIEW v_images AS SELECT i.id,
  CAST(c.root AS TEXT) || '/' || CASE WHEN length(d.path) > 0 THEN CAST(d.path AS TEXT) || '/' ELSE '' END || CAST(i.name AS TEXT) AS path, i.page,
  i.state, i.reason, l.verdict, l.flags, i.asked, i.gaps, r.model, lower(hex(r.hash)) AS recipe, s.tag AS shard, b.batch_id,
  l.prompt_tokens, l.output_tokens, l.reasoning_tokens, ((l.prompt_tokens - coalesce(l.cached_tokens, 0)) * p.input_pusd
    + coalesce(l.cached_tokens, 0) * p.cached_pusd + l.output_tokens * p.output_pusd) / 1e12 AS usd, i.text, lower(hex(i.text_hash)) AS text_b3,
  o.edited_at IS NOT NULL OR i.text IS 'kept' AS edited, o.review, datetime(b.settled_at / 1000, 'unixepoch') AS settled,
  (SELECT y.original_id FROM copy y WHERE y.image_id = i.id AND y.stands <> 'alone') AS copy_of
FROM image i JOIN directory d ON d.id = i.directory_id JOIN corpus c ON c.id = d.corpus_id LEFT JOIN shard s ON s.id = i.shard_id
LEFT JOIN recipe r ON r.id = s.recipe_id LEFT JOIN price p ON p.id = s.price_id LEFT JOIN line l ON l.shard_id = i.shard_id AND l.image_id = i.id
LEFT JOIN note o ON o.image_id = i.id LEFT JOIN batch b ON b.shard_id = i.shard_id AND b.stray = 0 AND b.state NOT IN ('refused', 'void');
CREATE VIEW v_failures AS SELECT path, page, state, coalesce(reason, verdict) AS why, flags, asked, gaps, 'batch_return/' || batch_id || '.jsonl' AS raw
FROM v_images WHERE state IN ('rough', 'failed', 'skipped') OR flags IS NOT NULL;
CREATE VIEW v_costs AS SELECT date(b.opened_at / 1000, 'unixepoch') AS day, n.name AS run, r.model, count(*) AS batches, sum(b.stray) AS strays,
  sum(b.state IN ('open', 'ended', 'fetched')) AS unsettled, sum(p.id IS NULL) AS unpriced, sum(s.lines) AS lines, sum(s.est_tokens) AS est_tokens,
  sum(b.prompt_tokens) AS prompt_tokens, sum(b.output_tokens) AS output_tokens,
  1.0 * sum(b.prompt_tokens) / sum(CASE WHEN b.prompt_tokens IS NOT NULL THEN s.est_tokens END) AS told_by_estimated,
  sum((b.prompt_tokens - coalesce(b.cached_tokens, 0)) * p.input_pusd + coalesce(b.cached_tokens, 0) * p.cached_pusd + b.output_tokens * p.output_pusd) / 1e12 AS usd
FROM batch b JOIN shard s ON s.id = b.shard_id JOIN run n ON n.id = s.run_id JOIN recipe r ON r.id = s.recipe_id LEFT JOIN price p ON p.id = s.price_id
WHERE b.batch_id IS NOT NULL GROUP BY 1, 2, 3;
