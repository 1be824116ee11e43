//! Configuration from the environment.
//!
//! Read once, at start. Every variable may be given as `NAME` or as `NAME_FILE`, the path of a file that holds the
//! value. An empty variable counts as unset. All mistakes are reported together, by variable name, before anything
//! else happens; the value of a secret is never printed.
//!
//! A concern declares its variables with [`variables!`](crate::variables), reads them with [`Environment::read`] and
//! turns each into its type with [`Setting`].

mod environment;
mod setting;
mod variables;

pub use environment::Environment;
pub use setting::{Problems, Setting};
pub use variables::{Variable, Variables};
