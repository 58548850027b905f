//! The store in SQLite; all SQL stands here.
