//! A flood of one caller, beside which another is measured: it must be its own business (fair shares of the gateway).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinSet;

use super::{BenchError, draw_one};
use crate::forced_outcome::ForcedOutcome;
use crate::gateway::{Gateway, Paging, Placing};
use crate::progress::Progress;

/// Requests of the flood that are under way at once.
const AT_ONCE: usize = 256;

/// What the flood got.
#[derive(Default)]
struct Answers {
    served: AtomicU64,
    refused: AtomicU64,
}

/// Does `work` while a caller sends orders and asks for lists as fast as it can.
pub async fn beside<T>(
    flooding: &Gateway,
    work: impl Future<Output = Result<T, BenchError>>,
    progress: &Progress,
) -> Result<T, BenchError> {
    let answers = Arc::new(Answers::default());
    // Ends with this function.
    let mut clients = JoinSet::new();
    for _ in 0..AT_ONCE {
        clients.spawn(flood(flooding.clone(), Arc::clone(&answers)));
    }
    let done = work.await;
    let [served, refused] = [&answers.served, &answers.refused].map(|count| count.load(Ordering::Relaxed));
    progress.message(&format!("the flood: {served} requests were served, {refused} were refused"));
    done
}

/// Does not heed refusals.
async fn flood(gateway: Gateway, answers: Arc<Answers>) {
    loop {
        let listed = gateway.orders(Paging::largest(1)).await.is_ok();
        let order = draw_one(&[ForcedOutcome::Approved]);
        let placed = match order {
            Ok(order) => gateway.place(&order, Placing::default()).await.is_ok(),
            Err(_) => false,
        };
        for served in [listed, placed] {
            let count = if served { &answers.served } else { &answers.refused };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}
