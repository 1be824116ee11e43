//! What an operator does about one failed message.

use ::http::Method;
use chassis::http::Response;
use contracts::Problem;
use contracts::failed_message::DiscardRequest;
use contracts::replay::EditRequest;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::console::action::{Change, Form};
use crate::console::visit::Visit;

/// `POST /console/failed/{service}/{id}/replay`
pub(in crate::console) async fn replay(visit: Visit) -> Response {
    visit
        .act(async |form| {
            let body = json!({});
            let what =
                What { method: Method::POST, template: "/failed-messages/{id}/replay", action: "/replay" };
            carry_out(&visit, &form, what, &body, "replay").await
        })
        .await
}

/// `POST /console/failed/{service}/{id}/discard`
pub(in crate::console) async fn discard(visit: Visit) -> Response {
    visit
        .act(async |form| {
            let body = DiscardRequest { reason: form.reason()?.to_owned() };
            let what = What { method: Method::DELETE, template: "/failed-messages/{id}", action: "" };
            carry_out(&visit, &form, what, &body, "discard").await
        })
        .await
}

/// `POST /console/failed/{service}/{id}/edit`
pub(in crate::console) async fn edit(visit: Visit) -> Response {
    visit
        .act(async |form| {
            let text = form.required("body", "must be what the message is to say")?.to_owned();
            let body = EditRequest { body: text, reason: form.reason()?.to_owned() };
            let what = What { method: Method::POST, template: "/failed-messages/{id}/edit", action: "/edit" };
            carry_out(&visit, &form, what, &body, "edit").await
        })
        .await
}

/// What is asked of the service.
struct What {
    method: Method,
    template: &'static str,
    /// The end of the path, behind the message's id.
    action: &'static str,
}

async fn carry_out(
    visit: &Visit,
    form: &Form,
    What { method, template, action }: What,
    body: &impl Serialize,
    done: &str,
) -> Result<String, Problem> {
    let (name, service) = visit.service()?;
    let id: Uuid = visit.request.id("id")?;
    let path = format!("/failed-messages/{id}{action}");
    visit.change(form.reason()?, Change { service, method, template, path, body }).await?;
    Ok(format!("/console/failed/{name}/{id}?done={done}"))
}
