-- From version 5 to version 6: how many images are flagged is told without looking at every answer.
PRAGMA user_version = 6;
CREATE INDEX line_flagged ON line (image_id, shard_id) WHERE flags IS NOT NULL;
