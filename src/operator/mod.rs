//! The commands of the command line, one file a family. Parses no arguments of
//! its own accord: `main` hands each command what it was given.

pub mod sandbox;
