//! Named places where a fault test makes the process crash as `kill -9` would, and messages that do so.
//!
//! Only with the feature `failpoints`; otherwise the macros are nothing at all. The variable `PAYSAGA_CRASH_AT` names the
//! place, `name` for its first passing or `name#7` for its seventh. `PAYSAGA_PANIC_ON` and `PAYSAGA_ABORT_ON` name an order
//! whose triggers can't be applied without a panic, or without the end of the process.

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

/// Panics, or crashes the process, if the fault test wants that for triggers of this order.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! fail_on_order {
    ($order:expr) => {
        $crate::failpoint::apply_to($order)
    };
}

/// Panics, or crashes the process, if the fault test wants that for triggers of this order.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! fail_on_order {
    ($order:expr) => {};
}

/// A trigger is applied to an order.
#[cfg(feature = "failpoints")]
pub fn apply_to(order: contracts::OrderId) {
    let names = |variable| std::env::var(variable).is_ok_and(|id| id == order.to_string());
    if names("PAYSAGA_ABORT_ON") {
        std::process::abort();
    }
    assert!(!names("PAYSAGA_PANIC_ON"), "a fault test wants order {order} to fail");
}
