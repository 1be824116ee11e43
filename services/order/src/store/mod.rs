//! The order service's tables, one file each; statements are set-based, and each change is guarded by the state that it
//! starts from.

pub(crate) mod audit_list;
pub(crate) mod audit_records;
pub(crate) mod books;
pub(crate) mod changes;
pub(crate) mod diagnosis;
pub(crate) mod feed;
pub(crate) mod idempotency_keys;
pub(crate) mod listening;
pub(crate) mod order_list;
pub(crate) mod orders;
pub(crate) mod samples;
pub(crate) mod search;
pub(crate) mod timeline;
