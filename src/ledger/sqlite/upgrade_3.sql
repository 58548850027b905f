-- From version 3 to version 4: files with the same bytes are asked once. Word for word what the schema says of the new objects.
PRAGMA user_version = 4;
ALTER TABLE image ADD COLUMN sample INTEGER;
CREATE TABLE copy (                  -- a file with the bytes of another one, whose answer is its own. ended: the original has ended, or one of the two
  image_id INTEGER PRIMARY KEY REFERENCES image, original_id INTEGER NOT NULL REFERENCES image,  -- is another file now; ready: its text can be
  stands TEXT NOT NULL CHECK (stands IN ('waiting', 'ended', 'ready', 'served', 'alone')),       -- written; alone: was a copy once, and is asked by itself
  CHECK (image_id <> original_id)) STRICT;
CREATE TABLE copies (                -- one row: how many copies wait (ended and ready ones among them), by the triggers of copy
  one INTEGER PRIMARY KEY CHECK (one = 1), waiting INTEGER NOT NULL, ended INTEGER NOT NULL, ready INTEGER NOT NULL) STRICT;
INSERT INTO copies VALUES (1, 0, 0, 0);
CREATE INDEX image_alike  ON image (bytes, sample);
CREATE INDEX copy_of      ON copy (original_id);
CREATE INDEX copy_todo    ON copy (stands, image_id) WHERE stands IN ('ended', 'ready');
DROP TRIGGER image_move;
CREATE TRIGGER image_move BEFORE UPDATE OF state ON image WHEN OLD.state <> NEW.state AND OLD.state || '>' || NEW.state NOT IN ('owed>packed',
  'owed>failed', 'owed>rough', 'owed>done', 'packed>done', 'packed>rough', 'packed>owed', 'packed>failed', 'rough>owed', 'done>owed', 'failed>owed', 'skipped>owed',
  'rough>done', 'failed>done', 'done>rough', 'failed>rough')
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
DROP VIEW v_images;
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
