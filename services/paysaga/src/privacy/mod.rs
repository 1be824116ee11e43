//! What is kept about a customer (`userId`): all of it, for the customer to have, and its erasure (docs/PRIVACY.md).

mod erase;
mod export;

use contracts::topology::Service;
use sqlx::{Connection, PgConnection};
use thiserror::Error;

pub use erase::{Erased, erase};
pub use export::{Export, export};

/// Connections to both services' databases, as the roles that own them.
#[derive(Debug)]
pub struct Databases {
    orders: PgConnection,
    payments: PgConnection,
}

/// A customer's data can't be read or erased.
#[derive(Debug, Error)]
pub enum PrivacyError {
    /// A database refused, or does not answer.
    #[error("the {service} database: {source}")]
    Database {
        /// Whose database.
        service: Service,
        /// Why.
        source: sqlx::Error,
    },
    /// Payments may still be under way.
    #[error("{0} orders of this customer are not settled; erase them when they are")]
    Unsettled(i64),
    /// Events that name the customer have not reached the broker yet.
    #[error("{0} events about this customer are still to be published; try again in a moment")]
    Unpublished(i64),
}

impl PrivacyError {
    fn of(service: Service) -> impl Fn(sqlx::Error) -> Self + Copy {
        move |source| Self::Database { service, source }
    }
}

impl Databases {
    /// Connects to the databases at these URLs.
    pub async fn connect(orders: &str, payments: &str) -> Result<Self, PrivacyError> {
        let orders = PgConnection::connect(orders).await.map_err(PrivacyError::of(Service::Order))?;
        let payments = PgConnection::connect(payments).await.map_err(PrivacyError::of(Service::Payment))?;
        Ok(Self { orders, payments })
    }
}
