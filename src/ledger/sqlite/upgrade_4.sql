-- From version 4 to version 5: what is asked at every write of an image costs less. The rules are the same, said in other words,
-- so the table stays as it is, and only its text is another: the way that SQLite's documentation gives (lang_altertable, 7).
PRAGMA user_version = 5;
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(replace(sql,
  'CHECK (state IN (''owed'', ''packed'', ''done'', ''rough'', ''failed'', ''skipped''))',
  'CHECK (state = ''owed'' OR state = ''packed'' OR state = ''done'' OR state = ''rough'' OR state = ''failed'' OR state = ''skipped'')'),
  'text TEXT CHECK (text IN (''txt'', ''api'', ''page'', ''kept''))',
  'text TEXT CHECK (text = ''txt'' OR text = ''api'' OR text = ''page'' OR text = ''kept'')')
  WHERE type = 'table' AND name = 'image';
PRAGMA writable_schema = RESET;
DROP INDEX image_ended;
CREATE INDEX image_ended  ON image (state, reason) WHERE state = 'rough' OR state = 'failed' OR state = 'skipped';
DROP TRIGGER image_move;
CREATE TRIGGER image_move BEFORE UPDATE OF state ON image WHEN OLD.state <> NEW.state AND instr(
  ' owed>packed owed>failed owed>rough owed>done packed>done packed>rough packed>owed packed>failed rough>owed done>owed failed>owed skipped>owed rough>done failed>done done>rough failed>rough ',
  ' ' || OLD.state || '>' || NEW.state || ' ') = 0
BEGIN SELECT RAISE(ABORT, 'illegal move of an image'); END;
