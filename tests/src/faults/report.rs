//! The page docs/FAULTS.md.

use std::fmt::Write;
use std::fs;
use std::time::Duration;

use procfs::{CpuInfo, Current, LoadAverage, Meminfo};

use super::launch::SETTINGS;
use super::table::{Row, markdown};

/// A run, as the page describes it.
pub struct Run<'a> {
    /// The result of each scenario.
    pub rows: &'a [Row],
    /// What everything was drawn from.
    pub seed: u64,
    /// Of the servers.
    pub versions: &'a str,
    /// From start to end.
    pub time: Duration,
}

const HOW_TO_READ: &str = "\
# Faults

What was broken under the running services, and what became of the orders. Written by `./dev faults --write docs/FAULTS.md`;
do not edit it by hand.

## How to run it

```
./dev faults                      everything, with a seed of its own, which it prints first
./dev faults --seed 7             the same again
./dev faults --only RabbitMQ      scenarios whose names contain this (may be given several times); --list names them all
./dev faults --short              the short form; `./dev test` runs the same ones
./dev faults --generation 2       with RabbitMQ 4.0 and PostgreSQL 17, once ./dev generation-2 has fetched them
```

It ends with 1 if a number in the three bad columns is not zero or anything else was not as it should be, names it, and
keeps the services' logs. The servers are private ones; those of the machine are not touched. A seed fixes the orders, the
outcomes, the victims and their moments in numbers of orders; what the operating system does in between it can't fix.

## How to read it

Each row is one run of the real services with a database each and a virtual host of its own, under a steady load of
customers: amounts of every kind (approved, declined, failed, the answer of the provider lost), a tenth sent twice, a
seventh cancelled. A customer sends a request again, under the same `Idempotency-Key`, until it is accepted, as a good
client does. While they go on, something is broken.

| column | what it counts |
|---|---|
| orders accepted | answered 202 |
| final | of those, orders whose saga has ended |
| lost | accepted orders that don't exist, and accepted cancellations of which nothing came |
| double-charged | orders charged more than once, keys with two orders, orders that were not placed, money held for no paid order, books that don't balance |
| stuck | orders, messages in queues, rows in outboxes, failed messages: whatever is not at rest two minutes after the fault |
| recovery time | from the end of the fault until *everything* was at rest, orders placed until then and their refunds included |

The judge is the auditor of `paysaga check` with no grace at all, and the customers' own records beside it. It checks twice:
when everything seems at rest, and again when the services have been stopped and have ended with 0, so that what a
consumer still held is counted too.

A recovery can't be shorter than what has to happen in it. The provider takes up to 0.5 s; an answer that was lost is
looked up after 1 s, once more a few seconds later where that proves nothing; a step that a killed process had begun
is taken over 6 s after it began. With the defaults (`PROVIDER_TIMEOUT=8s`) those are 8 and 13 s.

A *crash* is an abort at a named point in the code, three times in a row, each at a passing drawn at random; the points
exist only in programs built with the feature `failpoints`. Everything else runs the programs as they are delivered.
";

/// The whole page.
#[must_use]
pub fn page(run: &Run<'_>) -> String {
    let Run { rows, seed, versions, time } = run;
    let mut page = format!("{HOW_TO_READ}\nSettings that differ from the defaults:");
    for (name, value) in SETTINGS {
        // Writing to a String can't fail.
        let _ = write!(page, " `{name}={value}`");
    }
    let machine = machine();
    let minutes = time.as_secs().div_ceil(60);
    // The suite is built as the programs are that it runs.
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    let _ = write!(
        page,
        ".\n\n## The table\n\nSeed {seed}, {versions}, a {build} build, {machine}; {minutes} minutes.\n\n{}",
        markdown(rows)
    );
    page
}

/// Processors, memory, kernel, and the load average of the last 15 minutes.
fn machine() -> String {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let processor = CpuInfo::current().ok().and_then(|info| info.model_name(0).map(str::to_owned));
    let gibibytes = Meminfo::current().map_or(0, |memory| memory.mem_total >> 30);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = LoadAverage::current().map_or(f32::NAN, |load| load.fifteen);
    format!(
        "{processors} × {}, {gibibytes} GiB, Linux {}, load average {load:.2} at the end",
        processor.unwrap_or_default(),
        kernel.trim()
    )
}
