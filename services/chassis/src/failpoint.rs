//! Named places where a fault test makes the process crash as `kill -9` would.
//!
//! Only with the feature `failpoints`; otherwise [`crash_here!`](crate::crash_here) is nothing at all. The variable
//! `PAYSAGA_CRASH_AT` names the place, `name` for its first passing or `name#7` for its seventh.

/// Crashes the process here if the fault test asks for it.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! crash_here {
    ($name:literal) => {
        $crate::failpoint::pass($name)
    };
}

/// Crashes the process here if the fault test asks for it.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! crash_here {
    ($name:literal) => {};
}

/// Passes the place `name`: aborts the process, without unwinding or flushing anything, if it is the one to crash at.
#[cfg(feature = "failpoints")]
pub fn pass(name: &str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static CRASH_AT: LazyLock<Option<(String, AtomicU32)>> = LazyLock::new(|| {
        let wanted = std::env::var_os("PAYSAGA_CRASH_AT")?.into_string().ok()?;
        let (name, passes) = wanted.split_once('#').unwrap_or((&wanted, "1"));
        Some((name.to_owned(), AtomicU32::new(passes.parse().ok()?)))
    });
    if let Some((wanted, passes)) = &*CRASH_AT
        && wanted == name
        && passes.fetch_sub(1, Ordering::Relaxed) == 1
    {
        std::process::abort();
    }
}
