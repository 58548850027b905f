-- From version 1 to version 2: word for word what the schema says of the new objects.
PRAGMA user_version = 2;
CREATE TABLE wish (                  -- what the next request for an image changes; no row: nothing. after: reason of the verdict that asks again;
  image_id INTEGER PRIMARY KEY REFERENCES image, after TEXT, said BLOB CHECK (length(said) = 16),  -- said: BLAKE3 of the text that was doubted
  model TEXT) STRICT;                                               -- ordered by a person
CREATE TABLE ink (                   -- share of dark pixels of an image, measured where its answer was doubtful
  image_id INTEGER PRIMARY KEY REFERENCES image, ink REAL NOT NULL CHECK (ink BETWEEN 0 AND 1)) STRICT;
CREATE TABLE cleaning (              -- what cleaning did to an answer: a JSON list of rules, each with what it took
  shard_id INTEGER NOT NULL, image_id INTEGER NOT NULL, rules TEXT NOT NULL, PRIMARY KEY (shard_id, image_id),
  FOREIGN KEY (shard_id, image_id) REFERENCES line (shard_id, image_id)) STRICT, WITHOUT ROWID;
DROP TRIGGER image_move;
CREATE TRIGGER image_move BEFORE UPDATE OF state ON image WHEN OLD.state <> NEW.state AND OLD.state || '>' || NEW.state NOT IN ('owed>packed',
  'owed>failed', 'owed>rough', 'packed>done', 'packed>rough', 'packed>owed', 'packed>failed', 'rough>owed', 'done>owed', 'failed>owed', 'skipped>owed',
  'rough>done', 'failed>done', 'done>rough', 'failed>rough')
BEGIN SELECT RAISE(ABORT, 'illegal move of an image'); END;
