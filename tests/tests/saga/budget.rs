//! What an order costs at most, counted. That does not depend on how fast the machine is.

use std::collections::{HashMap, HashSet};
use std::ops::Add;
use std::time::Duration;

use contracts::OrderId;
use contracts::topology::Service;
use futures_util::future::join_all;
use rustix::process::Signal;
use tests::api::{IdempotencyKey, accepted};
use tests::statement_tap::RoundTrip;
use tests::{Stack, StatementTap, eventually};
use tokio::time::sleep;

/// As long as the slowest of what a service does while it has nothing to do needs to come round: on a slow machine it pauses
/// for up to twenty seconds.
const BACKGROUND: Duration = Duration::from_secs(25);

/// What is written a little later than an order settles: its timeline, and the deletion of what was published.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// A stack whose statements are recorded.
struct Tapped {
    stack: Stack,
    taps: [StatementTap; 2],
    /// Statements that are carried out without an order too.
    background: HashSet<String>,
}

/// What was sent to the databases, without what services do that have nothing to do.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    /// Times that a service waited for its database; to begin and end transactions, too.
    round_trips: usize,
    statements: usize,
    /// Transactions, of one statement or of more.
    commits: usize,
}

impl Tapped {
    async fn start() -> Self {
        let port = tests::infrastructure::servers().await.postgres.port;
        let taps = [StatementTap::start(port).await, StatementTap::start(port).await];
        let [order, payment] = &taps;
        let builder = Stack::with().tapped(Service::Order, order).tapped(Service::Payment, payment);
        // Each order costs the same.
        let stack = builder.env("PROVIDER_APPROVAL_RATE", "1").start().await;
        stack.drain_every_queue().await;
        let mut tapped = Self { stack, taps, background: HashSet::new() };
        tapped.rest().await;
        tapped.take();
        sleep(BACKGROUND).await;
        let idle = tapped.take();
        tapped.background = idle.into_iter().flatten().flat_map(|round_trip| round_trip.statements).collect();
        tapped
    }

    /// Waits until all of these orders are paid, without asking the services.
    async fn paid(&self, orders: &[OrderId]) {
        eventually("all are paid", async || {
            let paid = sqlx::query_scalar::<_, i64>(
                "SELECT count(*) FROM orders WHERE id = ANY($1) AND status = 'PAID'",
            );
            let paid = paid
                .bind(orders)
                .fetch_one(&self.stack.order_database)
                .await
                .map_err(|error| error.to_string())?;
            if usize::try_from(paid) == Ok(orders.len()) { Ok(()) } else { Err(format!("{paid} are")) }
        })
        .await;
    }

    async fn rest(&self) {
        self.stack.outboxes_empty().await;
        sleep(AFTERWARDS).await;
    }

    /// What was sent to each database since the last call.
    fn take(&self) -> [Vec<RoundTrip>; 2] {
        self.taps.each_ref().map(StatementTap::take)
    }

    /// What these orders, which were just placed, cost both services.
    async fn cost_until_paid(&self, orders: &[OrderId]) -> Cost {
        self.paid(orders).await;
        self.rest().await;
        self.take().into_iter().map(|sent| self.cost(sent)).fold(Cost::default(), Cost::add)
    }

    fn cost(&self, sent: Vec<RoundTrip>) -> Cost {
        let mut by_connection: HashMap<usize, Vec<Vec<String>>> = HashMap::new();
        // Statements are prepared once for each connection.
        for RoundTrip { connection, statements, .. } in
            sent.into_iter().filter(|sent| !sent.statements.is_empty())
        {
            by_connection.entry(connection).or_default().push(statements);
        }
        let mut cost = Cost::default();
        for round_trips in by_connection.into_values() {
            let mut transaction = Vec::new();
            for statements in round_trips {
                transaction.push(statements);
                if !begins(&transaction[0]) || ends(&transaction[transaction.len() - 1]) {
                    cost = cost + self.of_transaction(&transaction);
                    transaction.clear();
                }
            }
        }
        cost
    }

    /// What a transaction costs: nothing if an idle service carries it out too.
    fn of_transaction(&self, round_trips: &[Vec<String>]) -> Cost {
        let own: Vec<&String> = round_trips.iter().flatten().filter(|text| !is_bracket(text)).collect();
        if own.iter().all(|statement| self.background.contains(*statement)) {
            return Cost::default();
        }
        Cost { round_trips: round_trips.len(), statements: own.len(), commits: 1 }
    }
}

impl Cost {
    const fn is_within(self, budget: Self) -> bool {
        self.round_trips <= budget.round_trips
            && self.statements <= budget.statements
            && self.commits <= budget.commits
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            round_trips: self.round_trips + other.round_trips,
            statements: self.statements + other.statements,
            commits: self.commits + other.commits,
        }
    }
}

fn begins(statements: &[String]) -> bool {
    statements.first().is_some_and(|text| text.starts_with("BEGIN"))
}

fn ends(statements: &[String]) -> bool {
    statements.last().is_some_and(|text| text == "COMMIT" || text == "ROLLBACK")
}

fn is_bracket(statement: &str) -> bool {
    statement.starts_with("BEGIN") || statement == "COMMIT" || statement == "ROLLBACK"
}

/// An order on its own.
const ALONE: Cost = Cost { round_trips: 29, statements: 21, commits: 7 };

/// Each of a hundred that come together, in hundredths: half of a commit, and less than two round trips.
const TOGETHER: Cost = Cost { round_trips: 180, statements: 150, commits: 50 };

/// What an order on its own costs more under an `Idempotency-Key`: a connection is told whose rows it sees, the key is stored and
/// read, and the answer is stored.
const KEYED: Cost = Cost { round_trips: 4, statements: 4, commits: 4 };

/// The least of several: a machine that is busy with something else splits batches, and what is always more is the saga's.
fn least(costs: &[Cost]) -> Cost {
    let least = |of: fn(&Cost) -> usize| costs.iter().map(of).min().unwrap_or_default();
    Cost {
        round_trips: least(|cost| cost.round_trips),
        statements: least(|cost| cost.statements),
        commits: least(|cost| cost.commits),
    }
}

#[tokio::test]
async fn an_order_costs_no_more_than_its_budget() {
    let tapped = Tapped::start().await;
    let mut messages = tapped.stack.amqp.tap().await;
    let mut costs = Vec::new();
    for _ in 0..4 {
        let id = tapped.stack.api.place("10.01").await;
        costs.push(tapped.cost_until_paid(&[id]).await);
    }
    assert_eq!(messages.all().await.len(), 3 * costs.len(), "messages of orders that are paid");
    let alone = least(&costs);
    assert!(alone.is_within(ALONE), "an order on its own costs {alone:?}, budget {ALONE:?}; all: {costs:?}");

    costs.clear();
    for number in 0..4 {
        let key = format!("k-{number}");
        let placed = tapped.stack.api.post_keyed(IdempotencyKey(&key), "10.01").send().await;
        let id = accepted(placed.expect("an answer")).await;
        costs.push(tapped.cost_until_paid(&[id]).await);
    }
    let (keyed, budget) = (least(&costs), ALONE + KEYED);
    assert!(
        keyed.is_within(budget),
        "an order under a key costs {keyed:?}, budget {budget:?}; all: {costs:?}"
    );

    costs.clear();
    for _ in 0..3 {
        // All of them are in the queue when the first is received.
        tapped.stack.order.signal(Signal::STOP);
        let ids: Vec<OrderId> = join_all((0..100).map(|_| tapped.stack.api.place("10.01"))).await;
        tapped.stack.order.signal(Signal::CONT);
        costs.push(tapped.cost_until_paid(&ids).await);
    }
    let together = least(&costs);
    assert!(
        together.is_within(TOGETHER),
        "a hundred orders cost {together:?}, budget {TOGETHER:?}; all: {costs:?}"
    );
}
