//! The running check of the books: what a gateway reads to compare.

use ::http::{Method, StatusCode};
use chassis::database::Connections;
use chassis::http::{self, Request, Response, Routes, route};
use contracts::Problem;
use contracts::books::exchange::{MOST_ORDERS, PaymentRows, RecordsAfter, WantedOrders};
use contracts::books::rows::PaymentRow;
use contracts::problem::InvalidMember;

use crate::store::books;

pub(crate) fn routes(connections: Connections) -> Routes {
    Routes::new(
        connections,
        [
            route(Method::GET, "/books/payments", records_after),
            route(Method::POST, "/books/payments", records_of),
        ],
    )
}

async fn records_of(connections: Connections, request: Request) -> Result<Response, Problem> {
    let WantedOrders { orders } = request.json().await?;
    if orders.len() > usize::from(MOST_ORDERS) {
        let rule = format!("must be at most {MOST_ORDERS} orders");
        return Err(Problem::invalid(vec![InvalidMember::new("orders", rule)]));
    }
    Ok(answer(books::records_of(&connections, &orders).await?))
}

async fn records_after(connections: Connections, request: Request) -> Result<Response, Problem> {
    let wanted = RecordsAfter::from_query(|name| request.query_parameter(name));
    Ok(answer(books::records_after(&connections, wanted).await?))
}

/// The provider is the simulator, whose books can be read.
fn answer(payments: Vec<PaymentRow>) -> Response {
    http::json(StatusCode::OK, &PaymentRows { payments, provider_known: true })
}
