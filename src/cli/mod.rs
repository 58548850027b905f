//! Words in, words out.
//!
//! *Job*: verbs, flags, screen, exit codes. *In*: the command line. *Out*: stdout carries data, stderr everything else.
//! *Owns*: the terminal. *Bound*: one block of at most 12 lines. *If it crashes here*: the ledger has everything.
