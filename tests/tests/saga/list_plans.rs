//! What the lists of orders and payments read, at a million rows: whatever is asked for, one range of one index, and nothing else.
//!
//! The statements are those that the services sent, read on their way by a relay, with their parameters. PostgreSQL plans each twice:
//! for these parameters, and for any (a generic plan, which a prepared statement may get).

use std::fmt::Write;
use std::str::FromStr;

use bytes::{Buf, Bytes};
use contracts::topology::Service;
use reqwest::{Client, StatusCode};
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, PgPool};
use tests::service::{SERVICE_TOKEN, ServiceProcess};
use tests::{Stack, StatementTap};

/// How many clients have orders.
const CLIENTS: u64 = 20;
/// The most items that are asked for.
const LIMIT: u64 = 100;
/// What the statements about lists end with, and no others.
const LIST: &str = "LIMIT $5 OFFSET $6";
/// A customer who has ten thousand orders, some with each client.
const USER: &str = "userId=00000000-0000-0000-0000-000000000007";
/// Most of the items were created within this time.
const TIMES: &str = "createdFrom=2026-01-02T00:00:00Z&createdTo=2026-01-11T00:00:00Z";

/// One a second from the first of January 2026 on. Nearly all have settled well.
const ORDERS: &str = "
    INSERT INTO orders (id, user_id, total, status, cancel_reason, trace_context, created_at, updated_at, owner)
    SELECT lpad(number::text, 32, '0')::uuid, lpad((number % 99)::text, 32, '0')::uuid, 1, status,
           CASE WHEN status = 'CANCELLED' THEN 'USER_REQUESTED' END, '{}', at, at, 'client-' || number % 20
    FROM (SELECT number, timestamptz '2026-01-01 00:00Z' + number * interval '1 second' AS at,
                 CASE number % 97 WHEN 13 THEN 'CANCELLED' WHEN 37 THEN 'FAILED' WHEN 71 THEN 'PENDING_PAYMENT'
                                  ELSE 'PAID' END AS status
          FROM generate_series(1, 1000000) AS number) AS numbered;
    INSERT INTO order_count_sums (owner, status, count)
    SELECT owner, status, count(*) FROM orders GROUP BY owner, status";
const PAYMENTS: &str = "
    INSERT INTO payments (id, order_id, amount, status, trace_context, created_at, updated_at, owner)
    SELECT lpad(number::text, 32, '0')::uuid, lpad(number::text, 32, '0')::uuid, 1, status, '{}', at, at,
           'client-' || number % 20
    FROM (SELECT number, timestamptz '2026-01-01 00:00Z' + number * interval '1 second' AS at,
                 CASE number % 97 WHEN 13 THEN 'REFUNDED' WHEN 37 THEN 'FAILED' ELSE 'APPROVED' END AS status
          FROM generate_series(1, 1000000) AS number) AS numbered;
    INSERT INTO payment_total_sums (owner, status, count, amount)
    SELECT owner, status, count(*), sum(amount) FROM payments GROUP BY owner, status";

/// Fills a table. That is quicker without triggers, without a log, and with indexes that are made afterwards.
async fn fill(database: &PgPool, table: &str, rows: &str) {
    let indexes: Vec<(String, String)> = sqlx::query_as(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = $1 AND indexdef NOT LIKE 'CREATE UNIQUE%'",
    )
    .bind(table)
    .fetch_all(database)
    .await
    .expect("the database answers");
    let (names, definitions): (Vec<_>, Vec<_>) = indexes.into_iter().unzip();
    let drops = names.iter().map(|name| format!("DROP INDEX {name}"));
    let fill = format!(
        "BEGIN; ALTER TABLE {table} SET UNLOGGED; SET LOCAL session_replication_role = replica; {rows}; COMMIT"
    );
    let analyze = format!("VACUUM ANALYZE {table}");
    for statement in drops.chain([fill]).chain(definitions).chain([analyze]) {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(database).await.expect("the table can be filled");
    }
}

/// A service with a million items, and the relay through which it asks its database.
struct Million<'a> {
    service: &'a ServiceProcess,
    table: &'static str,
    tap: &'a StatementTap,
    database: &'a PgPool,
    /// What the connections begin with on which it answers queries.
    settings: String,
}

impl<'a> Million<'a> {
    async fn of(
        service: &'a ServiceProcess,
        table: &'static str,
        tap: &'a StatementTap,
        database: &'a PgPool,
    ) -> Self {
        let mut million = Self { service, table, tap, database, settings: String::new() };
        million.ask("*", "").await;
        let asked =
            tap.take().into_iter().find(|trip| trip.statements.iter().any(|sent| sent.contains(LIST)));
        million.settings = asked.expect("the list is read").settings;
        million
    }

    async fn ask(&self, owner: &str, query: &str) -> Value {
        let request = Client::new().get(format!("{}/{}?{query}", self.service.url(), self.table));
        let answer =
            request.bearer_auth(SERVICE_TOKEN).header("x-owner", owner).send().await.expect("an answer");
        let (status, link) = (answer.status(), answer.headers().contains_key("link"));
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!((status, link), (StatusCode::OK, true), "{query}: {body}");
        body
    }

    /// The item in the middle of what an owner has.
    async fn middle(&self, owner: &str) -> String {
        let middle = format!(
            "SELECT id::text FROM {} WHERE $1 IN ('*', owner) AND created_at < timestamptz '2026-01-06 00:00Z'
             ORDER BY created_at DESC LIMIT 1",
            self.table
        );
        let middle = sqlx::query_scalar(AssertSqlSafe(middle)).bind(owner).fetch_one(self.database).await;
        middle.expect("there is one")
    }

    /// A connection like those on which the service answers this owner.
    async fn connection(&self, owner: &str) -> PgConnection {
        let url = &self.service.environment()["DATABASE_URL"];
        // Spaces in values are escaped.
        let settings = self.settings.replace("\\ ", " ");
        let settings = settings.split("-c ").filter_map(|setting| setting.trim().split_once('='));
        // A policy lets the service see these rows.
        let visible = ("paysaga.owners", if owner == "*" { "%" } else { owner });
        let options = PgConnectOptions::from_str(url).expect("a URL").options(settings).options([visible]);
        options.connect().await.expect("a connection")
    }

    /// What PostgreSQL did for the statement about the list that this query led to: with the plan for its parameters, and with that for
    /// any.
    async fn plans(&self, owner: &str, query: &str, connection: &mut PgConnection) -> [Value; 2] {
        drop(self.tap.take());
        self.ask(owner, query).await;
        let sent =
            self.tap.take().into_iter().flat_map(|trip| trip.statements.into_iter().zip(trip.parameters));
        let mut lists = sent.filter(|(statement, _)| statement.contains(LIST));
        let (statement, parameters) = lists.next().expect("the list is read");
        assert_eq!(lists.next(), None, "{query}: one statement reads it");
        let prepare = AssertSqlSafe(format!("DEALLOCATE ALL; PREPARE list AS {statement}"));
        sqlx::raw_sql(prepare).execute(&mut *connection).await.expect("it can be prepared");
        let types: Vec<String> = sqlx::query_scalar(
            "SELECT unnest(parameter_types)::text FROM pg_prepared_statements WHERE name = 'list'",
        )
        .persistent(false)
        .fetch_all(&mut *connection)
        .await
        .expect("it is known");
        let values: Vec<_> = types.iter().zip(parameters).map(|(kind, value)| literal(kind, value)).collect();
        let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE list({})", values.join(", "));
        let mut plans = [Value::Null, Value::Null];
        for (mode, plan) in ["force_custom_plan", "force_generic_plan"].iter().zip(&mut plans) {
            let mode = format!("SET plan_cache_mode = {mode}");
            sqlx::raw_sql(AssertSqlSafe(mode)).execute(&mut *connection).await.expect("there is this mode");
            let explained = sqlx::query_scalar(AssertSqlSafe(explain.clone()))
                .persistent(false)
                .fetch_one(&mut *connection)
                .await;
            *plan = explained.expect("it can be explained");
        }
        plans
    }

    /// What is wrong with how this query is answered.
    async fn mistakes(&self, owner: &str, query: &str, connection: &mut PgConnection) -> String {
        let mut mistakes = String::new();
        let (_, limit) = query.split_once("limit=").expect("it has a limit");
        // What is left out after it was read: see `Listed::sifted`.
        let is_sifted = query.contains("userId") && query.contains("status");
        let most = if is_sifted { LIMIT } else { limit.parse().expect("a number") } + 1;
        // For an operator, a range of each client, and what they give is sorted.
        let ranges = if owner == "*" && query.contains("userId") { CLIENTS } else { 1 };
        for plan in self.plans(owner, query, connection).await {
            let root = &plan[0]["Plan"];
            let (mut scans, mut is_sorted) = (Vec::new(), false);
            walk(root, &mut |node| {
                is_sorted |= node["Node Type"].as_str().is_some_and(|kind| kind.contains("Sort"));
                if node["Relation Name"] == self.table {
                    scans.push(Scan::of(node));
                }
            });
            let one_range = matches!(&scans[..], [scan] if scan.is_range_of(most, ranges));
            let pages = ["Shared Hit Blocks", "Shared Read Blocks"].map(|name| root[name].as_u64());
            let pages: u64 = pages.into_iter().flatten().sum();
            // A page of the table for each item, some of the index, and those above them.
            if !one_range || (is_sorted && ranges == 1) || pages > ranges * (2 * most + 20) {
                let _ = writeln!(mistakes, "{owner} {query}: sorted: {is_sorted}, {pages} pages, {scans:?}");
            }
        }
        mistakes
    }
}

/// How the table was read.
#[derive(Debug)]
struct Scan {
    kind: String,
    range: Option<String>,
    rows: u64,
    removed: u64,
    loops: u64,
}

impl Scan {
    fn of(node: &Value) -> Self {
        let text = |name: &str| node[name].as_str().map(str::to_owned);
        // A plan's rows are those of a loop, and from PostgreSQL 18 on they have decimals.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few rows are read")]
        let number = |name: &str| node[name].as_f64().unwrap_or_default().ceil() as u64;
        Self {
            kind: text("Node Type").unwrap_or_default(),
            range: text("Index Cond"),
            rows: number("Actual Rows"),
            removed: number("Rows Removed by Filter") + number("Rows Removed by Index Recheck"),
            loops: number("Actual Loops"),
        }
    }

    fn is_range_of(&self, most: u64, ranges: u64) -> bool {
        let is_range = self.kind == "Index Scan" && self.range.is_some();
        is_range && self.rows <= most && self.removed == 0 && self.loops <= ranges
    }
}

fn walk(node: &Value, seen: &mut impl FnMut(&Value)) {
    seen(node);
    for child in node["Plans"].as_array().into_iter().flatten() {
        walk(child, seen);
    }
}

/// A value that was sent in PostgreSQL's binary format, as SQL writes it.
fn literal(kind: &str, mut value: Bytes) -> String {
    match kind {
        "uuid" => format!("'{:032x}'", value.get_u128()),
        "bigint" => value.get_i64().to_string(),
        "timestamp with time zone" => {
            format!("timestamptz '2000-01-01 00:00Z' + {} * interval '1 microsecond'", value.get_i64())
        }
        "text" => format!("'{}'", String::from_utf8(value.to_vec()).expect("text is UTF-8")),
        other => panic!("a parameter of the type {other}"),
    }
}

#[tokio::test]
async fn whatever_is_asked_for_one_range_of_an_index_is_read() {
    let port = tests::infrastructure::servers().await.postgres.port;
    let taps = [StatementTap::start(port).await, StatementTap::start(port).await];
    let builder = Stack::with().tapped(Service::Order, &taps[0]).tapped(Service::Payment, &taps[1]);
    let stack = builder.start().await;
    tokio::join!(
        fill(&stack.order_database, "orders", ORDERS),
        fill(&stack.payment_database, "payments", PAYMENTS)
    );
    let [orders, payments] = [
        Million::of(&stack.order, "orders", &taps[0], &stack.order_database).await,
        Million::of(&stack.payment, "payments", &taps[1], &stack.payment_database).await,
    ];
    let both = "status=FAILED&".to_owned() + USER;
    let mut mistakes = String::new();
    for (list, filters) in [
        (orders, &["", "status=PAID", "status=FAILED", USER, &both][..]),
        (payments, &["", "status=APPROVED", "status=FAILED"]),
    ] {
        for owner in ["*", "client-7"] {
            let mut connection = list.connection(owner).await;
            let behind = format!("cursor={}", list.middle(owner).await);
            for filter in filters {
                for (times, sort) in [("", "newest"), ("", "oldest"), (TIMES, "newest"), (TIMES, "oldest")] {
                    for (start, limit) in [("", LIMIT), (&*behind, 7)] {
                        let parameters = [filter, times, start].into_iter().filter(|part| !part.is_empty());
                        let parameters: String = parameters.flat_map(|part| [part, "&"]).collect();
                        let query = format!("{parameters}sort={sort}&limit={limit}");
                        mistakes += &list.mistakes(owner, &query, &mut connection).await;
                    }
                }
            }
        }
    }
    assert!(mistakes.is_empty(), "\n{mistakes}");
}
