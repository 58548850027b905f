//! batchscribe: a tree of page images in, a text beside each image out, through a batch API.
//!
//! ```text
//!  walk ─pages────────► Scanner ─ImageFound─► Encoder ─ShardSealed─► Uploader ─BatchOpened+slot─► Poller
//!                       ▲ feed                   ▲                   │  ▲                            │ BatchEnded+slot
//!                       │                        │              open │  │ lane of 4 chunks           ▼
//!                     ledger ◄── every fact, before its message ──   ▼  │                        Extractor ─► raw on disk
//!                       ▲             the user's images ─────────► body task                         │ AnswersRead, BatchRead+slot
//!                       │                                                                            ▼
//!                       └──────────────────── Standing (watch) ──────────── page.png.txt ◄──────  Cleaner
//! ```
//!
//! Imports point down only: `main → cli → {bench, serve, web, ops, pipeline, emulator} → {scan, encode, upload, poll, extract, clean} →
//! {message, ledger, provider, corpus} → kit → domain` (`settings` stands beside `domain`). Stage rooms never know each other:
//! an actor knows its successor as a recipient of a message. A message announces a fact that the ledger already holds,
//! so recovery is not a second program; it is this one, started in the middle.
//!
//! Words: an *image* is a file of the corpus; a *line* its request; a *plan* the ordered lines with their exact lengths;
//! a *shard* a sealed plan; a *body* a shard's bytes, made while they are read; a *batch* the provider's job for one shard;
//! an *answer* one result line; a *verdict* what we think of it; a *text* the `.txt`; *owed* still to be asked; *packed*
//! in a shard whose batch is not settled; *settled* every line accounted for.

pub mod bench;
pub mod clean;
pub mod cli;
pub mod corpus;
pub mod domain;
pub mod emulator;
pub mod encode;
pub mod extract;
pub mod kit;
pub mod ledger;
pub mod message;
pub mod ops;
pub mod pipeline;
pub mod poll;
pub mod provider;
pub mod scan;
pub mod serve;
pub mod settings;
pub mod upload;
pub mod web;
