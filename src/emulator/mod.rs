//! A Batch API server that really reads pages: the provider where there is no key and no network, and the stand-in of tests.
//!
//! *Job*: Files, Batches and chat completions as the real service answers them. *In*: HTTP, or calls of the provider
//! trait. *Out*: answers of an engine; a bill of what would be charged. *Owns*: its state folder.
//! *Bound*: file bytes lie on disk; engine jobs are as many as its threads. *If it crashes here*: its state folder is
//! read again and open batches go on.
