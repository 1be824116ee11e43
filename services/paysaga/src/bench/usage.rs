//! What processes of this machine use of it.

use std::collections::{BTreeMap, HashMap};

use local_stack::ports::holder;
use procfs::process::{Process, Stat, all_processes};
use serde::Serialize;

/// The processes of a stack that runs on this machine.
#[derive(Clone, Copy, Debug)]
pub struct StackProcesses {
    /// The process that started the gateway, and everything else of the stack.
    root: i32,
}

/// What a program and the processes that it started have used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Time of processors, in seconds.
    pub cpu_seconds: f64,
    /// The most memory that its largest process has had, in bytes.
    pub peak_memory: u64,
}

/// Every process that runs, and which it started.
struct Processes {
    stats: HashMap<i32, Stat>,
    children: HashMap<i32, Vec<i32>>,
}

impl StackProcesses {
    /// Those of the stack whose gateway listens on this port; `None` if they can't be seen, or if it is no `paysaga up` that
    /// started them: who else did so may have started other things, too.
    #[must_use]
    pub fn of_gateway(port: u16) -> Option<Self> {
        let root = holder::process(port)?.stat().ok()?.ppid;
        let name = Process::new(root).ok()?.stat().ok()?.comm;
        (name == "paysaga").then_some(Self { root })
    }

    /// What each program of the stack has used so far: the services and the servers.
    #[must_use]
    pub fn usage(self) -> BTreeMap<String, Usage> {
        let processes = Processes::list();
        let mut usage: BTreeMap<String, Usage> = BTreeMap::new();
        for child in processes.children.get(&self.root).into_iter().flatten() {
            let tree = processes.tree(*child);
            let program = usage.entry(processes.name(&tree)).or_default();
            program.cpu_seconds += processes.cpu_seconds(&tree);
            program.peak_memory =
                tree.iter().filter_map(|id| peak_memory(*id)).fold(program.peak_memory, u64::max);
        }
        usage
    }
}

impl Processes {
    fn list() -> Self {
        let listed = all_processes().into_iter().flatten();
        let stats: HashMap<i32, Stat> =
            listed.filter_map(|process| process.ok()?.stat().ok()).map(|stat| (stat.pid, stat)).collect();
        let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
        for stat in stats.values() {
            children.entry(stat.ppid).or_default().push(stat.pid);
        }
        Self { stats, children }
    }

    /// A process and all that descend from it.
    fn tree(&self, root: i32) -> Vec<i32> {
        let mut tree = vec![root];
        let mut next = 0;
        while let Some(id) = tree.get(next) {
            tree.extend(self.children.get(id).into_iter().flatten());
            next += 1;
        }
        tree
    }

    /// Those that have ended included.
    fn cpu_seconds(&self, tree: &[i32]) -> f64 {
        let stats = tree.iter().filter_map(|id| self.stats.get(id));
        let ticks: i64 = stats
            .map(|stat| {
                i64::try_from(stat.utime + stat.stime).unwrap_or_default() + stat.cutime + stat.cstime
            })
            .sum();
        #[expect(clippy::cast_precision_loss, reason = "few enough for a float to hold them exactly")]
        let (ticks, each_second) = (ticks as f64, procfs::ticks_per_second() as f64);
        ticks / each_second
    }

    /// A tree is named after its root, but a server that a script or another program starts after itself.
    fn name(&self, tree: &[i32]) -> String {
        let names = || tree.iter().filter_map(|id| Some(self.stats.get(id)?.comm.as_str()));
        let known = |of: &str| names().any(|name| name == of);
        match () {
            () if known("beam.smp") => "RabbitMQ".to_owned(),
            () if known("postgres") => "PostgreSQL".to_owned(),
            () => names().next().unwrap_or_default().to_owned(),
        }
    }
}

/// What a process and all that descend from it have spent, those that have ended included, in seconds of a processor.
#[must_use]
pub fn cpu_of_tree(root: Option<u32>) -> f64 {
    let Some(root) = root.and_then(|root| i32::try_from(root).ok()) else { return 0.0 };
    let processes = Processes::list();
    processes.cpu_seconds(&processes.tree(root))
}

/// The resident memory of a process, in bytes, if it runs.
#[must_use]
pub fn memory(id: u32) -> Option<u64> {
    let process = Process::new(i32::try_from(id).ok()?).ok()?;
    Some(process.status().ok()?.vmrss? << 10)
}

fn peak_memory(id: i32) -> Option<u64> {
    Some(Process::new(id).ok()?.status().ok()?.vmhwm? << 10)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_that_has_ended_is_counted_with_the_one_that_started_it() {
        let own = std::process::id();
        let before = cpu_of_tree(Some(own));
        let spin = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        Command::new("sh").args(["-c", spin]).status().unwrap();
        assert!(cpu_of_tree(Some(own)) > before);
        assert!(memory(own).unwrap() > 1 << 20);
    }

    #[test]
    fn a_tree_has_every_generation_once() {
        let children = HashMap::from([(1, vec![2, 3]), (3, vec![4])]);
        let mut tree = Processes { stats: HashMap::new(), children }.tree(1);
        tree.sort_unstable();
        assert_eq!(tree, [1, 2, 3, 4]);
    }
}
