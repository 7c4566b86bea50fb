//! Who may know whom. Fails when a room reaches where it may not, or when ARCHITECTURE.md names what is not there.

mod infra;
mod map;
mod rooms;
mod source;
mod vocabulary;
