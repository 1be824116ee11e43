//! Why a message can't be applied, for those who are told.

use tracing::Span;

use super::received::Unreadable;
use crate::aggregate::Rejection;
use crate::telemetry::mark_failed;

/// Why a message can't be applied.
pub(crate) struct Reason {
    /// A word for searches.
    pub(super) error_type: &'static str,
    /// A sentence for the operator who decides about the message.
    pub(crate) text: String,
    /// The same for logs and traces, where the first quotes the message.
    without_content: Option<String>,
}

impl Reason {
    /// One that does not quote the message.
    pub(crate) const fn new(error_type: &'static str, text: String) -> Self {
        Self { error_type, text, without_content: None }
    }

    /// The sentence for logs and traces, which have nothing of a message's content.
    pub(crate) fn without_content(&self) -> &str {
        self.without_content.as_deref().unwrap_or(&self.text)
    }

    /// Marks the span of the message's processing.
    pub(crate) fn mark(&self, span: &Span) {
        mark_failed(span, self.error_type, self.without_content());
    }
}

impl From<Unreadable> for Reason {
    fn from(unreadable: Unreadable) -> Self {
        let without_content = unreadable.without_content();
        Self { without_content, ..Self::new(unreadable.error_type(), unreadable.to_string()) }
    }
}

impl From<Rejection> for Reason {
    fn from(rejection: Rejection) -> Self {
        Self::new(rejection.error_type(), rejection.to_string())
    }
}
