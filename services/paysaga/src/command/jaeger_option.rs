//! The option that says where Jaeger is.

use clap::Args;
use local_stack::RunningStack;

use crate::jaeger::JaegerUrl;

/// Where traces can be seen.
#[derive(Debug, Args)]
pub(super) struct JaegerOption {
    /// Address of Jaeger's pages, to print where a trace can be seen [default: that of the stack that runs in --directory]
    #[arg(long = "jaeger", value_name = "URL", env = "PAYSAGA_JAEGER")]
    url: Option<JaegerUrl>,
}

impl JaegerOption {
    /// The Jaeger that was given, else that of the stack that was found.
    pub(super) fn of(self, found: Option<&RunningStack>) -> Option<JaegerUrl> {
        self.url.or_else(|| found?.jaeger_url.as_ref()?.parse().ok())
    }
}
