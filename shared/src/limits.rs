//! Bounds that hold at the edge and in the backend alike.

/// Largest request body in bytes: 4 MiB.
pub const BODY_BYTES: usize = 4 * 1024 * 1024;
/// Deepest nesting of arrays and objects in a JSON request body.
pub const JSON_DEPTH: usize = 64;
