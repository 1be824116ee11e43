//! What all pages have around their content.

use chassis::http::Request;
use contracts::Problem;
use maud::{DOCTYPE, Markup, html};
use strum::VariantArray;

use super::Console;
use super::assets::address;
use super::config::Mode;
use super::visit::Visit;

/// The parts of the console, as its navigation has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, VariantArray)]
pub(super) enum Section {
    Overview,
    Orders,
    Failed,
    Replays,
    Refunds,
    Books,
    Audit,
    /// In none of them.
    None,
}

impl Section {
    const fn link(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::Overview => ("Overview", "/console"),
            Self::Orders => ("Orders", "/console/orders"),
            Self::Failed => ("Failed messages", "/console/failed"),
            Self::Replays => ("Replays", "/console/replays"),
            Self::Refunds => ("Refunds", "/console/refunds"),
            Self::Books => ("Books", "/console/books"),
            Self::Audit => ("Audit", "/console/audit"),
            Self::None => return None,
        })
    }
}

/// A page of a visitor who has signed in.
pub(super) fn page(visit: &Visit, section: Section, title: &str, content: &Markup) -> Markup {
    let console = &visit.gateway.console;
    let links = Section::VARIANTS.iter().filter_map(|found| Some((*found, found.link()?)));
    let token = console.sessions.form_token(&visit.session);
    let role = if visit.may_act() { "operator" } else { "viewer" };
    let head = html! {
        nav aria-label="Console" {
            ul {
                @for (found, (name, path)) in links {
                    li {
                        a href=(path) aria-current=[(found == section).then_some("page")] { (name) }
                    }
                }
            }
        }
        form.search role="search" action="/console/search" {
            label.hidden for="q" { "Search" }
            input #q name="q" type="search" placeholder="Any id or Idempotency-Key" autocomplete="off" maxlength="257" required;
            button { "Search" }
        }
        div.who {
            span { (visit.caller.name.as_str()) " " span.role { (role) } }
            @if console.mode == Mode::ReadOnly { span.role { "read-only" } }
            form method="post" action="/console/sign-out" {
                input type="hidden" name="token" value=(token);
                button { "Sign out" }
            }
        }
    };
    document(console, title, Some(&head), content)
}

/// A page for those who have not signed in.
pub(super) fn outside(console: &Console, title: &str, content: &Markup) -> Markup {
    document(console, title, None, content)
}

fn document(console: &Console, title: &str, head: Option<&Markup>, content: &Markup) -> Markup {
    let environment = &console.environment;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="htmx-config" content="includeIndicatorCSS:false,history:false,noSwap:[204,304,\"4xx\",\"5xx\"],extensions:\"sse\"";
                title { (title) " · " (environment.name) " · paysaga" }
                link rel="icon" href=(address("icon.svg")) type="image/svg+xml";
                link rel="stylesheet" href=(address("console.css"));
                script src=(address("htmx.js")) defer {}
                script src=(address("hx-sse.js")) defer {}
                script src=(address("console.js")) defer {}
            }
            body {
                a.skip href="#content" { "To the content" }
                header class=(environment.colour) {
                    p.environment { span { "paysaga" } " " strong { (environment.name) } }
                    @if let Some(head) = head { (head) }
                }
                main #content { (content) }
            }
        }
    }
}

/// What went wrong, in place of a page or a part of it.
pub(super) fn problem(problem: &Problem) -> Markup {
    html! {
        div.problem role="alert" {
            p { strong { (problem.title) } " " (problem.detail) }
            @if !problem.errors.is_empty() {
                ul {
                    @for wrong in &problem.errors {
                        li { @if !wrong.member.is_empty() { code { (wrong.member) } " " } (wrong.detail) }
                    }
                }
            }
        }
    }
}

/// What an action came to, as the page that it led to is told.
pub(super) fn done(request: &Request) -> Markup {
    let text = match request.query_parameter("done").as_deref() {
        Some("cancel") => "The cancellation is on its way.",
        Some("ask") => "The provider is asked now, unless its circuit breaker is open.",
        Some("replay") => "The message is handled again in a moment.",
        Some("discard") => "The message is given up.",
        Some("edit") => "The message is changed. Replay it to have it handled so.",
        Some("begin") => "The replay has begun.",
        Some("pause") => "The replay is held.",
        Some("resume") => "The replay goes on.",
        Some("end") => "The replay is cancelled; what it had not handled is skipped.",
        Some("retry") => "The provider is asked once more.",
        Some("settle") => "The refund is recorded as done.",
        Some("pass") => "A full pass has begun.",
        _ => return html! {},
    };
    html! { p.done role="status" { (text) } }
}

/// A form that changes something: it says what it will do, asks why, and carries the session's token. Nothing for viewers.
pub(super) fn action(visit: &Visit, path: &str, button: &str, fields: &Markup) -> Markup {
    if !visit.may_act() {
        return html! {};
    }
    let token = visit.gateway.console.sessions.form_token(&visit.session);
    // Its own id, and left as it is while the part around it is written anew: an operator may be filling it in.
    let id = path.replace('/', "-");
    html! {
        details.action #{ "act" (id) } hx-morph-skip {
            summary { (button) }
            form.stacked method="post" action=(path) {
                input type="hidden" name="token" value=(token);
                (fields)
                label { "Reason" input name="reason" required maxlength="500" autocomplete="off"; }
                button.primary { (button) }
            }
        }
    }
}
