//! PostgreSQL: pools, migrations, what an error means, and how long a transaction is tried.

mod config;
mod connections;
mod error;
mod frontier;
mod list;
mod lock_room;
mod measures;
mod migrate;
mod monitor;
mod pool_gauge;
mod range;
mod retry;

pub use config::{DatabaseConfig, DatabaseVariables};
pub use connections::Connections;
pub(crate) use error::FailureKind;
pub use error::StoreError;
pub use frontier::Frontier;
pub use list::{ListedTable, read_list};
pub(crate) use lock_room::check_lock_room;
pub use measures::measure;
pub use migrate::{Schema, SchemaError, migrate};
pub use monitor::monitor;
pub(crate) use pool_gauge::show as show_pools;
pub use range::{Place, Range};
pub use retry::in_time;
pub(crate) use retry::{IfHeldUp, RetryError, answers, count_retry, retry, start_counting_retries};
