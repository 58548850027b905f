//! What the first bytes of a file say.
