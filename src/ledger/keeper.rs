//! One thread owns the only writing connection.
