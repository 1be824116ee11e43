//! What a client has already is not sent again (RFC 9110 §13.1.2): an answer carries an `ETag` of its content, and a request that
//! names it in `If-None-Match` gets 304 and no content.

use ::http::{HeaderMap, HeaderValue, StatusCode, header};
use chassis::http::{ReadyResponse, Response};
use sha2::{Digest, Sha256};

/// How much of the digest a tag has: enough that no two contents have the same by chance.
const TAG_BYTES: usize = 16;

/// The answer with its tag, or 304 if a request with these headers names it.
pub(crate) fn validated(request: &HeaderMap, answer: ReadyResponse) -> Response {
    let tag = tag(&answer);
    let is_known = request.get_all(header::IF_NONE_MATCH).iter().any(|list| names(list, &tag));
    let mut answer = if is_known {
        let mut unchanged = ReadyResponse::default();
        *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
        unchanged
    } else {
        answer
    };
    let headers = answer.headers_mut();
    // It may be stored by the client alone, and is asked about each time that it is used.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("authorization"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    answer.map(Into::into)
}

/// Of the content and of the link to what comes next: a list that grows at its end may differ in nothing else.
fn tag(answer: &ReadyResponse) -> String {
    let link = answer.headers().get(header::LINK).map(HeaderValue::as_bytes).unwrap_or_default();
    let digest = Sha256::new().chain_update(link).chain_update(answer.body()).finalize();
    format!("\"{}\"", hex::encode(&digest[..TAG_BYTES]))
}

/// Whether a value of `If-None-Match` names this tag. Whether either is weak makes no difference.
fn names(list: &HeaderValue, tag: &str) -> bool {
    let is_tag = |named: &str| named == "*" || named.strip_prefix("W/").unwrap_or(named) == tag;
    list.to_str().is_ok_and(|list| list.split(',').any(|named| is_tag(named.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(link: Option<&'static str>, body: &'static str) -> ReadyResponse {
        let mut answer = ReadyResponse::new(body.into());
        if let Some(link) = link {
            answer.headers_mut().insert(header::LINK, HeaderValue::from_static(link));
        }
        answer
    }

    #[test]
    fn a_tag_stands_for_the_content_and_the_link() {
        let tags = [answer(None, "a"), answer(None, "b"), answer(Some("a"), "b")].map(|answer| tag(&answer));
        assert_eq!(tag(&answer(None, "a")), tags[0]);
        assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2], "{tags:?}");
    }

    #[test]
    fn a_request_that_names_the_tag_is_answered_without_content() {
        let tag = tag(&answer(None, "a"));
        for (value, status) in [
            (tag.clone(), 304),
            (format!("W/{tag}"), 304),
            (format!("\"other\", {tag}"), 304),
            ("*".to_owned(), 304),
            ("\"other\"".to_owned(), 200),
            (tag.trim_matches('"').to_owned(), 200),
        ] {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, value.parse().unwrap())]);
            let response = validated(&headers, answer(None, "a"));
            assert_eq!(response.status().as_u16(), status, "{value}");
            assert_eq!(response.headers()[header::ETAG], *tag);
        }
    }
}
