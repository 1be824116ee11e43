//! The payment service's tables, one file each; statements are set-based, and each change is guarded by the state that it
//! starts from.

pub(crate) mod books;
pub(crate) mod diagnosis;
pub(crate) mod payment_list;
pub(crate) mod payment_totals;
pub(crate) mod payments;
pub(crate) mod refund_audit;
pub(crate) mod refunds;
pub(crate) mod samples;
pub(crate) mod search;
