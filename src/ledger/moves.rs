//! The legal moves as one pure table.
