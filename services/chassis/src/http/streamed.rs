//! Responses that last: what happens is sent as it happens.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{HeaderName, HeaderValue, header};
use warp::Reply;
use warp::reply::Response;

/// Marks a response whose client does not keep the service waiting, however long it lasts. A response extension.
#[derive(Clone, Copy)]
pub(super) struct Lasting;

/// Tells nginx and its like to pass on what comes as it comes.
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A response that ends when `parts` do. Each part is asked for when the client has taken those before, so what it does not
/// read costs no memory; if it reads nothing for too long, it is cut off.
///
/// The connection ends with it: the next request, which may be hours later, is for any replica.
#[must_use]
pub fn streamed<B: Into<Bytes> + 'static>(
    content_type: &'static str,
    parts: impl Stream<Item = B> + Send + 'static,
) -> Response {
    let parts = parts.map(|part| Ok::<Bytes, Infallible>(part.into()));
    let mut response = warp::reply::stream(OneAtATime(Mutex::new(Box::pin(parts)))).into_response();
    response.extensions_mut().insert(Lasting);
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONNECTION, "close"),
        (NO_BUFFERING, "no"),
    ];
    response.headers_mut().extend(headers.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

/// warp wants bodies that threads may share, though none does.
struct OneAtATime<S: ?Sized>(Mutex<Pin<Box<S>>>);

impl<S: Stream + ?Sized> Stream for OneAtATime<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll_next(context)
    }
}
