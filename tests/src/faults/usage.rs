//! What processes use of the machine.

use std::collections::{HashMap, HashSet};

use procfs::process::{Process, all_processes};

/// The resident memory of a process, in bytes, if it runs.
#[must_use]
pub fn memory(id: u32) -> Option<u64> {
    let process = Process::new(i32::try_from(id).ok()?).ok()?;
    Some(process.status().ok()?.vmrss? << 10)
}

/// What a process and all that descend from it have spent, those that have ended included, in seconds of a processor.
#[must_use]
pub fn cpu_of_tree(root: Option<u32>) -> f64 {
    let Some(root) = root.and_then(|root| i32::try_from(root).ok()) else { return 0.0 };
    let stats: Vec<_> = all_processes()
        .expect("processes can be listed")
        .filter_map(|process| process.ok()?.stat().ok())
        .collect();
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for stat in &stats {
        children.entry(stat.ppid).or_default().push(stat.pid);
    }
    let (mut tree, mut next) = (HashSet::new(), vec![root]);
    while let Some(process) = next.pop() {
        tree.insert(process);
        next.extend(children.get(&process).into_iter().flatten());
    }
    let ticks: i64 = stats
        .iter()
        .filter(|stat| tree.contains(&stat.pid))
        .map(|stat| i64::try_from(stat.utime + stat.stime).unwrap_or_default() + stat.cutime + stat.cstime)
        .sum();
    // Ticks are few enough for a float to hold them exactly.
    #[expect(clippy::cast_precision_loss, reason = "a process does not run for thousands of years")]
    let ticks = ticks as f64;
    #[expect(clippy::cast_precision_loss, reason = "a second has a hundred ticks")]
    let each_second = procfs::ticks_per_second() as f64;
    ticks / each_second
}
