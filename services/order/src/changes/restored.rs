//! Events of a dump that was restored into another server.

use chassis::backoff::Backoff;
use chassis::database::in_time;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::store::changes;

/// Lets events take part in the feed whose transactions this server does not know yet. Usually there are none.
pub(crate) async fn adopt(pool: PgPool, stopping: CancellationToken) {
    stopping.run_until_cancelled(adopt_all(&pool)).await;
}

async fn adopt_all(pool: &PgPool) {
    let mut backoff = Backoff::for_infrastructure();
    let mut adopted = 0;
    loop {
        match in_time(changes::adopt_restored(pool)).await {
            Ok(0) => break,
            Ok(count) => adopted += count,
            Err(error) => {
                debug!(%error, "restored events can't be looked for");
                backoff.wait().await;
            }
        }
    }
    if adopted > 0 {
        info!(adopted, "events of another server were restored; cursors that it gave are of no use here");
    }
}
