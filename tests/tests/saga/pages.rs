//! Lists of orders and payments, a page at a time.

use contracts::{OrderId, PaymentStatus};
use reqwest::{StatusCode, header};
use serde_json::{Value, json};
use tests::{Stack, eventually};

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
            ("?order=asc&unknown", (1, 10), 0..5),
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

/// The items of a list from there on, each with its id, as a client reads them that follows the links.
async fn follow(stack: &Stack, path: &str, mut query: String) -> Vec<Vec<Value>> {
    let mut parts = Vec::new();
    loop {
        let answer = stack.api.get(&format!("{path}{query}")).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}{query}");
        let link =
            answer.headers().get(header::LINK).map(|link| link.to_str().expect("it is text").to_owned());
        let mut part: Value = answer.json().await.expect("JSON");
        parts.push(part["data"].take().as_array().expect("a list").clone());
        let Some(link) = link else { return parts };
        let next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
        next.expect("a link to what comes next").clone_into(&mut query);
    }
}

#[tokio::test]
async fn a_list_is_read_to_its_end_by_its_links_whatever_is_added_meanwhile() {
    let stack = Stack::start().await;
    let mut newest_first: Vec<OrderId> = Vec::new();
    for _ in 0..5 {
        let id = stack.api.place("10.01").await;
        stack.api.payment_becomes(id, PaymentStatus::Approved).await;
        newest_first.insert(0, id);
    }
    for (path, order_id) in [("/api/orders", "id"), ("/api/payments", "orderId")] {
        let ids = |parts: Vec<Vec<Value>>| -> Vec<Vec<String>> {
            let ids = |part: Vec<Value>| {
                part.iter().map(|item| item[order_id].as_str().expect("an id").to_owned()).collect()
            };
            parts.into_iter().map(ids).collect()
        };
        let expected = |sizes: &[usize], of: &[OrderId]| -> Vec<Vec<String>> {
            let mut ids = of.iter().map(ToString::to_string);
            sizes.iter().map(|size| ids.by_ref().take(*size).collect()).collect()
        };
        let parts = ids(follow(&stack, path, "?limit=2".to_owned()).await);
        assert_eq!(parts, expected(&[2, 2, 1], &newest_first), "{path}");
        let parts = ids(follow(&stack, path, "?limit=5".to_owned()).await);
        assert_eq!(parts, expected(&[5], &newest_first), "{path}");
        let parts = ids(follow(&stack, path, "?page=2&limit=2".to_owned()).await);
        assert_eq!(parts, expected(&[2, 1], &newest_first[2..]), "{path}");
    }

    let first: Value = stack.api.read("/api/orders?limit=1").await;
    let cursor = first["data"][0]["id"].as_str().expect("an id");
    let added = stack.api.place("10.01").await;
    stack.api.payment_becomes(added, PaymentStatus::Approved).await;
    let behind: Value = stack.api.read(&format!("/api/orders?cursor={cursor}&limit=100")).await;
    assert_eq!(behind["data"].as_array().map(Vec::len), Some(4), "{behind}");
    assert_eq!(behind["meta"], json!({"limit": 100}));
    let last = newest_first[4];
    let behind: Value = stack.api.read(&format!("/api/orders?cursor={last}")).await;
    assert_eq!(behind, json!({"data": [], "meta": {"limit": 10}}));

    for path in ["/api/orders", "/api/payments"] {
        for (query, parameter) in [
            ("?cursor=", "cursor"),
            ("?cursor=2", "cursor"),
            ("?cursor=00000000-0000-4000-8000-000000000000", "cursor"),
            ("?cursor=00000000-0000-4000-8000-000000000000&page=2", "page"),
            ("?createdFrom=2026-01-02T03:04:05Z&page=2", "page"),
            ("?createdFrom=yesterday", "createdFrom"),
            ("?createdTo=2026-01-02", "createdTo"),
            ("?sort=asc", "sort"),
            ("?status=paid", "status"),
            ("?userId=7", "userId"),
        ] {
            let answer = stack.api.get(&format!("{path}{query}")).await;
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{path}{query}");
            let problem: Value = answer.json().await.expect("JSON");
            assert_eq!(problem["errors"][0]["member"], parameter, "{path}{query}: {problem}");
        }
    }
}

#[tokio::test]
async fn what_comes_behind_a_cursor_is_read_and_nothing_else() {
    let stack = Stack::start().await;
    // Orders that were placed long ago, one a second.
    let inserted = sqlx::query(
        "INSERT INTO orders (id, user_id, total, status, trace_context, created_at, updated_at)
         SELECT gen_random_uuid(), gen_random_uuid(), 1, 'PAID', '{}', at, at
         FROM generate_series(now() - interval '50000 s', now() - interval '1 s', interval '1 s') AS at",
    );
    inserted.execute(&stack.order_database).await.expect("they can be stored");
    let deep = "SELECT id::text FROM orders ORDER BY created_at DESC, id DESC OFFSET 40000 LIMIT 1";
    let cursor: String =
        sqlx::query_scalar(deep).fetch_one(&stack.order_database).await.expect("there is one");
    let before = index_reads(&stack).await;
    let part: Value = stack.api.read(&format!("/api/orders?cursor={cursor}&limit=100")).await;
    assert_eq!(part["data"].as_array().map(Vec::len), Some(100));
    // PostgreSQL counts a little later.
    let read = eventually("the reads are counted", async || match index_reads(&stack).await - before {
        0 => Err("there are none"),
        read => Ok(read),
    })
    .await;
    assert!(read <= 102, "{read} index entries were read for 100 orders");
}

/// How many entries of the list's index were read so far.
async fn index_reads(stack: &Stack) -> i64 {
    let read = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'orders_newest'";
    sqlx::query_scalar(read).fetch_one(&stack.order_database).await.expect("the database answers")
}
