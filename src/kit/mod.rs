//! Tools that know nothing of images.
//!
//! *Job*: leases, clocks, pools, edges, guards, atomic files: the mechanics every room leans on.
//! *In*: values and closures. *Out*: values. *Owns*: threads and permits, nothing durable.
//! *Bound*: every channel made here has a capacity. *If it crashes here*: a guard reports, a lease comes back.

pub mod alike;
pub mod atomic_file;
pub mod backoff;
pub mod base64;
pub mod bodies;
pub mod budget;
pub mod ceiling;
pub mod child;
pub mod clock;
pub mod crash;
pub mod disks;
pub mod edge;
pub mod exit_guard;
pub mod faults;
pub mod folder;
pub mod hash;
pub mod histogram;
pub mod holding;
pub mod http_thread;
pub mod json;
pub mod json_schema;
pub mod lines;
pub mod mend;
pub mod news;
pub mod path_bytes;
pub mod pending;
pub mod plural;
pub mod pool;
pub mod random;
pub mod redact;
pub mod rolling_file;
pub mod runtime;
pub mod staging;
pub mod stop;
pub mod thread;
pub mod throttle;
pub mod traffic;
pub mod wait;
pub mod watch;
