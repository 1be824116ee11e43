//! A private PostgreSQL, RabbitMQ (a node or a cluster) and Jaeger on this machine, and the three services on them.
//!
//! Private means: own data directory, own ports on 127.0.0.1, own passwords, own Erlang cookie and port mapper. Servers
//! that the system runs are neither used nor disturbed. Works as root (PostgreSQL then runs as the account `nobody`) and
//! as an ordinary user. Nothing that is started here outlives the process that started it, see [`process`].
//!
//! - [`stack`]: servers and services as one thing that starts, runs and stops: `paysaga up`.
//! - [`infrastructure`]: PostgreSQL and RabbitMQ alone, for tests; the program `private-servers` starts them for tests that
//!   share them.
//! - [`postgres`], [`rabbitmq`], [`jaeger`], [`services`]: how each of them is started.
//! - [`gateway_key`]: the API key of the gateway. [`directory`]: the data directory. [`installation`]: where the servers' programs are.
//! - [`process`], [`ports`], [`secret`], [`http`]: what starting a server needs. [`error`]: what can go wrong meanwhile.
//! - [`progress`]: what is reported to the caller. [`interrupts`]: what makes the caller stop it all.

mod account;
pub mod directory;
pub mod error;
pub mod gateway_key;
pub mod http;
pub mod infrastructure;
pub mod installation;
pub mod interrupts;
pub mod jaeger;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod progress;
pub mod rabbitmq;
pub mod secret;
pub mod services;
pub mod stack;
pub mod tls;

pub use directory::Directory;
pub use error::Error;
pub use infrastructure::Infrastructure;
pub use installation::Installation;
pub use stack::Stack;
pub use stack::running::RunningStack;
