-- From version 2 to version 3: pictures that have to be made ready before they are sent.
PRAGMA user_version = 3;
ALTER TABLE image ADD COLUMN needs TEXT CHECK (needs IN ('turning', 'converting'));
