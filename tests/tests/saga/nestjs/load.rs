//! Orders that are placed all the while, by one gateway or another.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use contracts::topology::Service;
use tests::api::Api;
use tests::eventually;
use tests::nestjs::{Books, NestJs};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The pause between two orders.
const PAUSE: Duration = Duration::from_millis(50);

/// Orders that are placed between two steps.
const ORDERS: usize = 10;

/// The gateway of the moment.
pub(super) enum Gateway {
    Theirs(Box<NestJs>),
    Ours(Api),
}

impl Gateway {
    pub(super) async fn start_theirs(url: &str) -> Self {
        Self::Theirs(Box::new(NestJs::start(Service::Gateway, url, Books::default()).await))
    }

    async fn place(&self, total: &str) {
        match self {
            Self::Theirs(theirs) => theirs.request_order(total).await,
            Self::Ours(api) => _ = api.place(total).await,
        }
    }

    pub(super) async fn stop(self) {
        if let Self::Theirs(theirs) = self {
            theirs.stop().await;
        }
    }
}

/// A customer who never stops ordering. Each order has a total of its own.
pub(super) struct Load {
    gateway: Arc<Mutex<Gateway>>,
    placed: Arc<Mutex<BTreeSet<String>>>,
    stopping: CancellationToken,
    task: JoinSet<()>,
}

impl Load {
    pub(super) fn start(gateway: Gateway) -> Self {
        let gateway = Arc::new(Mutex::new(gateway));
        let placed: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let mut task = JoinSet::new();
        let stopping = CancellationToken::new();
        let (to, record, stop) = (Arc::clone(&gateway), Arc::clone(&placed), stopping.clone());
        task.spawn(async move {
            for number in (1_u32..).take_while(|_| !stop.is_cancelled()) {
                let total = format!("{number}.01");
                to.lock().await.place(&total).await;
                record.lock().await.insert(total);
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { gateway, placed, stopping, task }
    }

    /// Places the next orders with another gateway; returns the one before.
    pub(super) async fn switch_to(&self, gateway: Gateway) -> Gateway {
        std::mem::replace(&mut *self.gateway.lock().await, gateway)
    }

    /// Waits until some more orders are placed.
    pub(super) async fn more_orders(&self) {
        let goal = self.placed.lock().await.len() + ORDERS;
        eventually("more orders are placed", async || match self.placed.lock().await.len() {
            placed if placed >= goal => Ok(()),
            placed => Err(format!("{placed} of {goal} are")),
        })
        .await;
    }

    /// Ends it after the order that is under way; returns the totals of all.
    pub(super) async fn stop(mut self) -> BTreeSet<String> {
        self.stopping.cancel();
        while self.task.join_next().await.is_some() {}
        self.placed.lock().await.clone()
    }
}
