//! The steps of all orders that a caller sees, from a place on or from now on, without end.

use std::sync::Arc;
use std::time::Duration;

use ::http::StatusCode;
use chassis::http::{Owned, Request, Response, SharedReads};
use contracts::feed::{EventCursor, FeedPage, FeedRequest, ReadFrom};
use contracts::problem::InvalidMember;
use contracts::{Problem, ProblemType};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::sse::Frames;
use super::{Page, Reader, Source, Stream, enter, first_page, last_event_id};
use crate::Gateway;
use crate::changes::Subject;
use crate::upstream::UpstreamError;

/// Most steps that are read at a time.
const MOST_STEPS: u32 = 100;

/// A stream of the steps of all orders that the caller sees.
pub(crate) async fn all_steps(gateway: Arc<Gateway>, request: &Request) -> Result<Response, Problem> {
    let mut wanted =
        FeedRequest::from_query(|name| request.query_parameter(name)).map_err(Problem::invalid)?;
    wanted.limit = MOST_STEPS;
    if let Some(id) = last_event_id(&request.headers) {
        let invalid =
            |_| Problem::invalid(vec![InvalidMember::new("Last-Event-ID", "must be the id of an event")]);
        wanted.from = ReadFrom::Behind(id.parse().map_err(invalid)?);
    } else if request.query_parameter("after").is_none() {
        wanted.from = ReadFrom::Now;
    }
    let (caller, place) = enter(&gateway, request).await?;
    let reader = Reader::new(Arc::clone(&gateway), request)?;
    let listening = gateway.changes.listen(Subject::Feed(reader.within.clone()));
    let mut steps = Steps { wanted };
    let mut page = first_page(steps.next(&reader).await, request)?;
    if page.frames.is_empty() {
        // So that a client that is cut off before the first step loses none.
        page.frames = Frames::heartbeat(steps.position());
    }
    Ok(Stream::new(reader, caller, place, listening, steps, page).response())
}

/// The database was restored to a moment before the one that a cursor is from.
pub(crate) fn restored() -> Problem {
    let detail = "The cursor is of a later moment than the database, which was restored. Read what there is now (GET \
                  /api/orders), and begin anew: without a cursor (and Last-Event-ID), or with after=0 from the oldest step.";
    Problem::new(ProblemType::CursorAhead, detail)
}

/// Reads that streams share: those of one owner are at the same place as soon as they have everything, and are told at once that
/// there is more.
pub(crate) type SharedPages = SharedReads<Owned<FeedRequest>, Arc<Found>>;

/// How many pages are read at once, each for all streams at its place.
pub(super) const TURNS: usize = 4;

/// What comes behind a place.
pub(crate) struct Found {
    frames: Frames,
    cursor: EventCursor,
    more: bool,
}

/// What a stream needs to know of a step.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    cursor: EventCursor,
    event_type: String,
}

/// Reads for all streams that ask for the same, which are not this reader's alone: whose steps they may see is part of what is asked.
async fn read(reader: &Reader, asked: &Owned<FeedRequest>) -> Result<Found, Problem> {
    let unreadable =
        |_| Problem::new(ProblemType::UnexpectedAnswer, "The order service's answer can't be read.");
    let response = reader.get(&asked.within, "/events", format!("/events{}", asked.what)).await?;
    match response.status {
        StatusCode::OK => {}
        StatusCode::GONE => return Err(restored()),
        // An order service of an older version has no feed.
        _ => return Err(UpstreamError::Unavailable("order").into()),
    }
    let page: FeedPage<Box<RawValue>> = serde_json::from_slice(&response.body).map_err(unreadable)?;
    let mut frames = Frames::default();
    for json in &page.data {
        let step: Step = serde_json::from_str(json.get()).map_err(unreadable)?;
        frames.push(step.cursor, &step.event_type, json.get());
    }
    Ok(Found { frames, cursor: page.meta.cursor, more: response.link.is_some() })
}

struct Steps {
    /// From where to read on.
    wanted: FeedRequest,
}

impl Source for Steps {
    /// However many steps follow each other, a stream reads them in pages.
    const PACE: Duration = Duration::from_millis(50);

    async fn next(&mut self, reader: &Reader) -> Result<Page, Problem> {
        let asked = Owned { within: reader.within.clone(), what: self.wanted.clone() };
        let read =
            async |asked: Owned<FeedRequest>| Ok::<_, Problem>(Some(Arc::new(read(reader, &asked).await?)));
        let found = reader.gateway.feed.get_each(asked, read).await?;
        let found = found.ok_or(UpstreamError::Unavailable("order"))?;
        self.wanted = self.wanted.behind(found.cursor);
        Ok(Page { frames: found.frames.clone(), more: found.more, is_last: false })
    }

    fn position(&self) -> Option<String> {
        Some(self.wanted.from.to_string())
    }
}
