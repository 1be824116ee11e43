//! The console's style and scripts, embedded in the program. Their addresses hold a digest of them all, so browsers keep them until
//! another version is served.

use std::sync::{Arc, LazyLock};

use ::http::{HeaderValue, header};
use chassis::http::{Request, Response};
use contracts::Problem;
use sha2::{Digest, Sha256};

use crate::Gateway;

/// <https://htmx.org> 4.0.1, as npm has it (`htmx.org/dist`), under the Zero-Clause BSD licence beside it.
const HTMX: &str = include_str!("assets/htmx.min.js");

/// Its extension for server-sent events, of the same version.
const HTMX_SSE: &str = include_str!("assets/hx-sse.min.js");

const STYLE: &str = include_str!("assets/console.css");
const ICON: &str = include_str!("assets/icon.svg");
const SCRIPT: &str = include_str!("assets/console.js");

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let digest = [HTMX, HTMX_SSE, STYLE, SCRIPT, ICON].into_iter().fold(Sha256::new(), Digest::chain_update);
    hex::encode(&digest.finalize()[..8])
});

/// The address of one of them.
pub(super) fn address(name: &str) -> String {
    format!("/console/assets/{name}?{}", *VERSION)
}

/// `GET /console/assets/{name}`. They are the same for all, and hold nothing of this system.
pub(super) async fn asset(_: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    let (content_type, text) = match request.parameter("name") {
        "htmx.js" => ("text/javascript; charset=utf-8", HTMX),
        "hx-sse.js" => ("text/javascript; charset=utf-8", HTMX_SSE),
        "console.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "icon.svg" => ("image/svg+xml", ICON),
        "console.css" => ("text/css; charset=utf-8", STYLE),
        _ => return Err(Problem::not_found("There is no such resource.")),
    };
    let mut response = Response::new(text.into());
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}
