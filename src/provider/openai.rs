//! The provider that speaks the Batch API at any base URL.
