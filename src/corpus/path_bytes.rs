//! Paths as bytes, whatever the system calls text.
