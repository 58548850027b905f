//! One HTTP client, no retries.
