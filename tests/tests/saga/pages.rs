//! Lists of orders and payments, a page at a time.

use contracts::PaymentStatus;
use serde_json::{Value, json};
use tests::Stack;

#[tokio::test]
async fn lists_are_newest_first_and_pages_are_clamped_into_range() {
    let stack = Stack::start().await;
    for path in ["/api/orders", "/api/payments"] {
        let empty: Value = stack.api.read(path).await;
        assert_eq!(empty, json!({"data": [], "meta": {"page": 1, "limit": 10, "total": 0, "totalPages": 0}}));
    }
    let mut newest_first = Vec::new();
    for _ in 0..5 {
        let id = stack.api.place("10.01").await;
        stack.api.payment_becomes(id, PaymentStatus::Approved).await;
        newest_first.insert(0, id.to_string());
    }
    for (path, order_id) in [("/api/orders", "id"), ("/api/payments", "orderId")] {
        for (query, (page, limit), found) in [
            ("", (1, 10), 0..5),
            ("?page=1&limit=2", (1, 2), 0..2),
            ("?page=2&limit=2", (2, 2), 2..4),
            ("?limit=2&page=3", (3, 2), 4..5),
            ("?page=4&limit=2", (4, 2), 0..0),
            ("?page=1&limit=5", (1, 5), 0..5),
            ("?page=0&limit=0", (1, 1), 0..1),
            ("?page=-1&limit=-7", (1, 1), 0..1),
            ("?page=abc&limit=abc", (1, 10), 0..5),
            ("?page=&limit=", (1, 10), 0..5),
            ("?limit=100", (1, 100), 0..5),
            ("?limit=101", (1, 100), 0..5),
            ("?limit=100000000000000000000", (1, 100), 0..5),
            ("?page=2.9&limit=3.9", (2, 3), 3..5),
            ("?page=%31&limit=%32", (1, 2), 0..2),
            ("?sort=asc&status=PAID&unknown", (1, 10), 0..5),
        ] {
            let list: Value = stack.api.read(&format!("{path}{query}")).await;
            let pages = 5_u32.div_ceil(limit);
            let meta = json!({"page": page, "limit": limit, "total": 5, "totalPages": pages});
            assert_eq!(list["meta"], meta, "{path}{query}");
            let items = list["data"].as_array().expect("a list");
            let ids: Vec<_> = items.iter().map(|item| item[order_id].as_str().expect("an id")).collect();
            assert_eq!(ids, newest_first[found], "{path}{query}");
        }
        // Far beyond the end, a page is empty.
        for page in ["4294967295", "4294967296", "9223372036854775807", "99999999999999999999999"] {
            let list: Value = stack.api.read(&format!("{path}?page={page}&limit=100")).await;
            assert_eq!((&list["data"], &list["meta"]["total"]), (&json!([]), &json!(5)), "{path} {page}");
        }
    }
}
