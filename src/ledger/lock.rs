//! The lock of the one process at work in a workspace.
