//! Read-only questions of people: status, audit.
