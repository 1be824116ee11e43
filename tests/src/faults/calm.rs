//! Seconds in which the machine's processors were its own. On a virtual machine others may take them, half of the time and more;
//! what is measured then says little about the saga.

use std::time::Duration;

use contracts::Timestamp;
use procfs::{CurrentSI, KernelStats};
use tokio::time::sleep;

/// The part of the processors' time that others may take in a calm second.
const MOST_STOLEN: f64 = 0.05;

const SECOND: Duration = Duration::from_secs(1);

/// Waits for so many calm seconds that are followed by a calm one, but no longer than `at_most`; returns when each began.
pub(super) async fn calm_seconds(wanted: usize, at_most: Duration) -> Vec<Timestamp> {
    let (mut calm, mut before) = (Vec::new(), None);
    let mut passed = Duration::ZERO;
    while calm.len() < wanted && passed < at_most {
        let (began, ticks) = (Timestamp::now(), Ticks::now());
        sleep(SECOND).await;
        passed += SECOND;
        let is_calm = Ticks::now().stolen_since(ticks) < MOST_STOLEN;
        calm.extend(before.filter(|_| is_calm));
        before = is_calm.then_some(began);
    }
    calm
}

/// Time of all processors, in ticks.
#[derive(Clone, Copy)]
struct Ticks {
    stolen: u64,
    all: u64,
}

impl Ticks {
    fn now() -> Self {
        let cpu = KernelStats::current().expect("Linux tells the processors' times").total;
        let stolen = cpu.steal.unwrap_or_default();
        let busy =
            cpu.user + cpu.nice + cpu.system + cpu.irq.unwrap_or_default() + cpu.softirq.unwrap_or_default();
        Self { stolen, all: busy + cpu.idle + cpu.iowait.unwrap_or_default() + stolen }
    }

    /// The part that others took.
    fn stolen_since(self, before: Self) -> f64 {
        let ticks = |ticks: u64| f64::from(u32::try_from(ticks).unwrap_or(u32::MAX));
        ticks(self.stolen - before.stolen) / ticks((self.all - before.all).max(1))
    }
}
