//! Which orders the id of a payment, or the provider's reference, belongs to.

use ::http::{Method, StatusCode};
use chassis::database::{Connections, StoreError};
use chassis::http::{self, Request, Response, Routes, route};
use contracts::search::{FoundBy, FoundOrder, SearchResults, wanted_text};
use contracts::{OrderId, OwnerFilter, PaymentId, Problem};

use crate::store::search;

pub(crate) fn routes(connections: Connections) -> Routes {
    Routes::new(connections, [route(Method::GET, "/search", find)])
}

async fn find(connections: Connections, request: Request) -> Result<Response, Problem> {
    let query = request.query_parameter("q");
    let text = wanted_text(query.as_deref()).map_err(|wrong| Problem::invalid(vec![wrong]))?;
    Ok(http::json(StatusCode::OK, &orders(&connections, text).await?))
}

/// The order's own id as well: the order may be one that the order service does not know.
async fn orders(connections: &Connections, text: &str) -> Result<SearchResults, StoreError> {
    let mut connection = connections.take_for(&OwnerFilter::Any).await?;
    let mut orders = Vec::new();
    let mut add = |by: FoundBy, found: Vec<OrderId>| {
        orders.extend(found.into_iter().map(|order_id| FoundOrder { order_id, by }));
    };
    if let (Ok(order), Ok(payment)) = (text.parse::<OrderId>(), text.parse::<PaymentId>()) {
        add(FoundBy::OrderId, search::of_order(&mut connection, order).await?);
        add(FoundBy::PaymentId, search::of_payment(&mut connection, payment).await?);
    }
    add(FoundBy::TransactionId, search::of_transaction(&mut connection, text).await?);
    connection.keep();
    Ok(SearchResults { orders })
}
