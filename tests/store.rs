//! The store and the door, on a real database.

#[path = "store_support/mod.rs"]
mod support;

use std::collections::{BTreeSet, HashSet};

use otodoke::contract::RejectionCode;
use otodoke::pipeline::apply::{Batch, ChangeKind};
use otodoke::rules::CaseId;
use otodoke::store::{self, dead_letters, groups, ledger, outbox, status};
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor};
use support::*;

#[tokio::test]
async fn migrations_may_run_twice_and_by_several_at_once() {
    with_empty_database(async |pool| {
        let (a, b, c) =
            tokio::join!(store::migrate(&pool), store::migrate(&pool), store::migrate(&pool));
        a.and(b).and(c).unwrap();
        store::migrate(&pool).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn every_table_and_column_says_what_it_means() {
    with_database(async |pool| {
        let silent: Vec<String> = sqlx::query_scalar(
            "SELECT c.oid::regclass || coalesce('.' || a.attname, '')
             FROM pg_class c
             LEFT JOIN LATERAL (
                 SELECT attname, attnum FROM pg_attribute
                 WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
                 UNION ALL SELECT NULL, 0) a ON true
             WHERE c.relkind IN ('r', 'p', 'v') AND c.relname <> '_sqlx_migrations'
               -- A part of a table says what the table says.
               AND NOT c.relispartition
               AND c.relnamespace IN ('public'::regnamespace, 'read_model'::regnamespace)
               AND col_description(c.oid, a.attnum) IS NULL
               AND (a.attnum > 0 OR obj_description(c.oid, 'pg_class') IS NULL)",
        )
        .fetch_all(&pool)
        .await
        .unwrap();
        assert_eq!(silent, Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn bodies_and_headers_are_for_operators_only() {
    with_database(async |pool| {
        let mut conn = pool.acquire().await.unwrap();
        for table in ["orders", "order_lines", "packages", "threads", "refunds", "guarantees"] {
            conn.execute("SET ROLE otodoke_reader").await.unwrap();
            conn.execute(AssertSqlSafe(format!("TABLE read_model.{table}"))).await.unwrap();
        }
        conn.execute("SELECT message_id, sent_at FROM read_model.messages").await.unwrap();
        conn.execute("SELECT id, detail FROM read_model.dead_letters").await.unwrap();
        for secret in ["messages (body)", "dead_letters (body)", "dead_letters (headers)"] {
            let (table, column) = secret.split_once(' ').unwrap();
            let query = || AssertSqlSafe(format!("SELECT {column} FROM read_model.{table}"));
            conn.execute("SET ROLE otodoke_reader").await.unwrap();
            assert!(conn.execute(query()).await.is_err(), "{secret}");
            conn.execute("SET ROLE otodoke_operator").await.unwrap();
            conn.execute(query()).await.unwrap();
        }
        conn.execute("TABLE read_model.derived_events").await.unwrap();
        assert!(conn.execute("TABLE public.history").await.is_err());
    })
    .await;
}

#[tokio::test]
async fn what_must_never_be_is_refused_by_the_tables() {
    with_database(async |pool| {
        let key = "decode(repeat('00', 16), 'hex')";
        for wrong in [
            "INSERT INTO cases (key, policy, opened_at) VALUES ('x/1', 1, now())".to_owned(),
            format!("INSERT INTO event_keys VALUES ('\\x00', {key})"),
            format!(
                "INSERT INTO history (case_key, key, source, event_id, type, time, facts, received_at, opened)
                 VALUES ('o/1', {key}, 's', 'i', 'message-sent', now(), '{{}}', now(), '2026-03-01')"
            ),
            "INSERT INTO lookups (case_key) VALUES ('t/1')".to_owned(),
            "INSERT INTO ledger (stream, received, accepted, duplicates, dead, committed_at)
             VALUES ('orders', -1, 0, 0, 0, now())"
                .to_owned(),
            "INSERT INTO read_model.refunds (refund_key, order_id, reason, currency, amount,
                 item_amount, shipping_amount, status, required_at)
             VALUES ('k', 'o', 'returned', 'JPY', 3, 1, 1, 'required', now())"
                .to_owned(),
        ] {
            let error = pool.execute(AssertSqlSafe(wrong.clone())).await.unwrap_err();
            let error = error.into_database_error().expect("the database refuses it");
            assert_eq!(error.code().as_deref(), Some("23514"), "{wrong}: {error}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_event_is_recorded_once_and_its_id_never_means_another() {
    with_database(async |pool| {
        let door = door(&pool).await;
        let event = || placed("o1", "B1", "2026-03-01T00:00:00Z");
        let other = || placed("o1", "B2", "2026-03-01T00:00:00Z");
        let outcome = send(&door, &pool, vec![event(), event(), other()]).await;
        assert_eq!((outcome.accepted, outcome.duplicates), (1, 1));
        assert_eq!(outcome.dead, [(RejectionCode::IdCollision, 1)].into());
        let before = picture(&pool).await;
        let outcome = send(&door, &pool, vec![other(), event()]).await;
        assert_eq!((outcome.accepted, outcome.duplicates), (0, 1));
        assert_eq!(picture(&pool).await, before);
        assert_eq!(value(&pool, "SELECT version::text FROM read_model.orders").await, "1");
        let attempts = "SELECT attempts::text FROM read_model.dead_letters";
        assert_eq!(value(&pool, attempts).await, "2");
        let audit = ledger::audit(&mut pool.acquire().await.unwrap()).await.unwrap();
        let count = audit.streams["orders"];
        assert_eq!((count.received, count.accepted, count.duplicates, count.dead), (5, 1, 2, 2));
        assert_eq!((audit.in_history, audit.keys, audit.dead_letter_attempts), (1, 1, 2));
    })
    .await;
}

#[tokio::test]
async fn a_dead_letter_is_one_row_and_one_alert_however_often_it_comes() {
    with_database(async |pool| {
        let door = door(&pool).await;
        let letter = || refused(b"\0\xff", RejectionCode::NotJson);
        let outcome = send(&door, &pool, vec![letter(), letter()]).await;
        assert_eq!(outcome.queued, [("event-dead-lettered", 1)].into());
        let mut conn = pool.acquire().await.unwrap();
        let [row] = &dead_letters::list(&mut conn, &Default::default(), None, 9).await.unwrap()[..]
        else {
            panic!("one row")
        };
        assert_eq!((row.attempts, row.status.as_str()), (2, "open"));
        let shown = dead_letters::show(&mut conn, row.id).await.unwrap().unwrap();
        assert_eq!(shown.body, b"\0\xff");
        pool.execute("UPDATE dead_letters SET status = 'replayed'").await.unwrap();
        let outcome = send(&door, &pool, vec![letter()]).await;
        assert_eq!(outcome.queued, [].into());
        let state = "SELECT status || ' ' || attempts FROM read_model.dead_letters";
        assert_eq!(value(&pool, state).await, "open 3");
        dead_letters::discard(&mut conn, &[row.id]).await.unwrap();
        send(&door, &pool, vec![letter()]).await;
        assert_eq!(value(&pool, state).await, "discarded 4");
        for (filter, expected) in [
            (dead_letters::Filter { text: Some("JSON".into()), ..Default::default() }, 1),
            (dead_letters::Filter { code: Some("too-large".into()), ..Default::default() }, 0),
            (dead_letters::Filter { order: Some("o1".into()), ..Default::default() }, 0),
        ] {
            let rows = dead_letters::list(&mut conn, &filter, None, 9).await.unwrap();
            assert_eq!(rows.len(), expected, "{filter:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn any_order_of_arrival_and_batching_ends_alike() {
    let events = || {
        vec![
            unpaid("o1", "2026-03-01T00:00:00Z"),
            received(
                "payment-authorized",
                "paid",
                "2026-03-01T01:00:00Z",
                json!({ "order_id": "o1", "attempt_id": "a", "amount": 1500 }),
            ),
            received(
                "shipment-dispatched",
                "sent",
                "2026-03-01T02:00:00Z",
                json!({ "order_id": "o1", "package_id": "p" }),
            ),
            inquiry("t1", "B1", "2026-03-01T03:00:00Z"),
        ]
    };
    let mut pictures = BTreeSet::new();
    for turn in 0..4 {
        with_database(async |pool| {
            let door = door(&pool).await;
            let mut events = events();
            events.rotate_left(turn);
            if turn % 2 == 1 {
                events.reverse();
            }
            match turn {
                3 => drop(send(&door, &pool, events).await),
                _ => {
                    for event in events {
                        send(&door, &pool, vec![event]).await;
                    }
                }
            }
            pictures.insert(picture(&pool).await);
        })
        .await;
    }
    assert_eq!(pictures.len(), 1, "{pictures:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn transactions_on_the_same_cases_neither_deadlock_nor_lose_anything() {
    with_database(async |pool| {
        let door = door(&pool).await;
        let events = |turn: usize| {
            let mut events: Vec<_> = (0..20)
                .flat_map(|n| {
                    let time = "2026-03-01T00:00:00Z";
                    let paid =
                        json!({ "order_id": format!("o{n}"), "attempt_id": "a", "amount": 9 });
                    [
                        placed(&format!("o{n}"), &format!("B{n}"), time),
                        inquiry(&format!("t{n}"), &format!("B{n}"), "2026-03-02T00:00:00Z"),
                        received("payment-authorized", &format!("paid-{n}"), time, paid),
                    ]
                })
                .collect();
            let middle = events.len() / 2;
            if turn % 2 == 1 {
                events.rotate_left(middle);
            }
            batch(events)
        };
        let applies = (0..6).map(|turn| {
            let (door, events) = (door.clone(), events(turn));
            tokio::spawn(async move { door.apply(&events).await.unwrap() })
        });
        let mut accepted = 0;
        for apply in applies.collect::<Vec<_>>() {
            accepted += apply.await.unwrap().accepted;
        }
        settle(&door, &pool).await;
        assert_eq!(accepted, 60);
        let matched = "SELECT count(*)::text FROM read_model.messages WHERE order_id IS NOT NULL";
        assert_eq!(value(&pool, matched).await, "20");
        assert_eq!(value(&pool, "SELECT count(*)::text FROM read_model.orders").await, "20");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn neighbours_that_arrive_in_overlapping_transactions_find_each_other() {
    with_database(async |pool| {
        let door = door(&pool).await;
        let applies = (0..8).map(|n| {
            let (door, time) = (door.clone(), format!("2026-03-01T00:0{n}:00Z"));
            let events = vec![placed(&format!("o{n}"), "B1", &time)];
            tokio::spawn(async move { door.apply(&batch(events)).await.unwrap() })
        });
        for apply in applies.collect::<Vec<_>>() {
            apply.await.unwrap();
        }
        settle(&door, &pool).await;
        let listed =
            "SELECT string_agg(jsonb_array_length(data -> 'order_ids')::text, ' ' ORDER BY time)
                      FROM read_model.derived_events
                      WHERE type = 'combined-shipping-available' AND withdrawn_at IS NULL";
        assert_eq!(value(&pool, listed).await, "2 3 4 5 6 7 8");
    })
    .await;
}

#[tokio::test]
async fn who_finds_a_group_taken_announces_himself_later() {
    with_database(async |pool| {
        let door = door(&pool).await;
        let mut other = pool.begin().await.unwrap();
        let group = groups::Group::of_buyer(&id("S1"), &id("B1"));
        let busy = groups::try_lock(&mut other, &[group].into()).await.unwrap();
        assert!(busy.is_empty());
        door.apply(&batch(vec![placed("o1", "B1", "2026-03-01T00:00:00Z")])).await.unwrap();
        let left = "SELECT string_agg(case_key || ' ' || announce, ',') FROM wake_ups";
        assert_eq!(value(&pool, left).await, "o/o1 true");
        door.apply(&Batch { wake: vec![order("o1")], ..Batch::default() }).await.unwrap();
        assert_eq!(value(&pool, left).await, "o/o1 true", "the group is still taken");
        other.rollback().await.unwrap();
        settle(&door, &pool).await;
        assert_eq!(value(&pool, left).await, "-");
        door.apply(&batch(vec![placed("o2", "B2", "2026-03-01T00:00:00Z")])).await.unwrap();
        assert_eq!(value(&pool, left).await, "-", "a free group costs no row");
    })
    .await;
}

#[tokio::test]
async fn an_inquiry_joins_the_order_that_arrives_after_it() {
    with_database(async |pool| {
        let door = door(&pool).await;
        send(&door, &pool, vec![inquiry("t1", "B1", "2026-03-02T00:00:00Z")]).await;
        let home = "SELECT order_id FROM read_model.messages";
        assert_eq!(value(&pool, home).await, "-");
        send(&door, &pool, vec![placed("o1", "B1", "2026-03-01T00:00:00Z")]).await;
        assert_eq!(value(&pool, home).await, "o1");
        let thread = "SELECT order_id || ' ' || message_count FROM read_model.threads";
        assert_eq!(value(&pool, thread).await, "o1 1");
        assert_eq!(value(&pool, "SELECT body FROM read_model.messages").await, "where?");
    })
    .await;
}

#[tokio::test]
async fn the_one_event_that_cannot_be_stored_becomes_a_dead_letter() {
    with_database(async |pool| {
        let door = door(&pool).await;
        pool.execute("ALTER TABLE history ADD CHECK (event_id <> 'placed-o3')").await.unwrap();
        let events = (0..7).map(|n| placed(&format!("o{n}"), "B1", "2026-03-01T00:00:00Z"));
        let outcome = door.apply_isolating(batch(events.collect())).await.unwrap();
        assert_eq!(outcome.accepted, 6);
        assert_eq!(outcome.dead, [(RejectionCode::ProcessingFailed, 1)].into());
        let letter = "SELECT event_id || ': ' || detail FROM read_model.dead_letters";
        assert!(value(&pool, letter).await.starts_with("placed-o3: it makes its transaction fail"));
        let audit = ledger::audit(&mut pool.acquire().await.unwrap()).await.unwrap();
        assert_eq!(audit.streams["orders"].received, 7);
    })
    .await;
}

#[tokio::test]
async fn a_missing_table_halts_and_gives_the_batch_back() {
    with_database(async |pool| {
        let door = door(&pool).await;
        pool.execute("ALTER TABLE ledger RENAME TO elsewhere").await.unwrap();
        let events = vec![placed("o1", "B1", "2026-03-01T00:00:00Z")];
        let interrupted = door.apply_isolating(batch(events)).await.unwrap_err();
        assert!(!interrupted.may_pass);
        assert!(interrupted.to_string().contains("otodoke migrate"), "{interrupted}");
        assert_eq!(interrupted.rest[0].received.len(), 1);
        assert_eq!(value(&pool, "SELECT count(*)::text FROM event_keys").await, "0");
    })
    .await;
}

#[tokio::test]
async fn a_case_that_cannot_be_decided_is_parked_and_others_go_on() {
    with_database(async |pool| {
        let door = door(&pool).await;
        send(&door, &pool, vec![placed("o1", "B1", "2026-03-01T00:00:00Z")]).await;
        pool.execute("UPDATE history SET facts = '{\"order_id\": 5}'").await.unwrap();
        // Another processor: this one remembers the order as it was.
        let door = self::door(&pool).await;
        let paid = json!({ "order_id": "o1", "attempt_id": "a", "amount": 9 });
        let events = vec![
            received("payment-authorized", "paid", "2026-03-01T00:00:00Z", paid),
            placed("o2", "B2", "2026-03-01T00:00:00Z"),
        ];
        let outcome = send(&door, &pool, events).await;
        assert_eq!((outcome.accepted, outcome.parked), (2, vec![order("o1")]));
        assert_eq!(value(&pool, "SELECT count(*)::text FROM read_model.orders").await, "2");
        let mut conn = pool.acquire().await.unwrap();
        let parked = status::parked(&mut conn, 9).await.unwrap();
        assert_eq!(parked[0].attempts, 1);
        assert!(parked[0].error.contains("placed-o1"), "{}", parked[0].error);
        pool.execute("DELETE FROM history WHERE event_id = 'placed-o1'").await.unwrap();
        door.apply(&Batch { wake: vec![order("o1")], ..Batch::default() }).await.unwrap();
        assert_eq!(status::parked(&mut conn, 9).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn while_deadlines_are_held_nothing_is_derived_from_absence() {
    with_database(async |pool| {
        let door = door(&pool).await;
        let received = vec![unpaid("o1", "2026-03-01T00:00:00Z")];
        door.apply(&Batch { received, held: true, ..Batch::default() }).await.unwrap();
        let derived = "SELECT string_agg(type, ',') FROM read_model.derived_events";
        assert_eq!(value(&pool, derived).await, "-");
        let mut conn = pool.acquire().await.unwrap();
        let now = store::clock(&mut conn).await.unwrap();
        let due = store::cases::due(&mut conn, now, 9).await.unwrap();
        assert_eq!(due, [order("o1")]);
        door.apply(&Batch { wake: due, ..Batch::default() }).await.unwrap();
        assert_eq!(value(&pool, derived).await, "payment-overdue");
        let later = now + otodoke::contract::Span::days(10_000);
        assert_eq!(store::cases::due(&mut conn, later, 9).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn old_events_are_recorded_but_neither_they_nor_their_withdrawals_are_sent() {
    with_database(async |pool| {
        let door = door_with(&pool, Some(at("2026-06-01T00:00:00Z"))).await;
        send(&door, &pool, vec![placed("o1", "B1", "2026-03-01T00:00:00Z")]).await;
        let derived = "SELECT string_agg(type || ' ' || suppressed, ',') FROM derived_events";
        assert_eq!(value(&pool, derived).await, "shipment-required true");
        assert_eq!(value(&pool, "SELECT count(*)::text FROM outbox").await, "0");
        // Placed twice: the earlier one stands, and what followed from the other is withdrawn.
        let mut earlier = placed("o1", "B1", "2026-02-01T00:00:00Z");
        earlier.judged.as_mut().unwrap().event.key.id = "earlier".into();
        earlier.judged.as_mut().unwrap().key_digest = [1; 16];
        send(&door, &pool, vec![earlier]).await;
        assert_eq!(
            value(
                &pool,
                "SELECT count(*)::text FROM derived_events WHERE withdrawn_at IS NOT NULL"
            )
            .await,
            "1"
        );
        assert_eq!(value(&pool, "SELECT count(*)::text FROM outbox").await, "0");
    })
    .await;
}

#[tokio::test]
async fn the_outbox_keeps_the_order_of_a_case_and_marks_what_was_confirmed() {
    with_database(async |pool| {
        let door = door(&pool).await;
        send(&door, &pool, vec![placed("o1", "B1", "2026-03-01T00:00:00Z")]).await;
        let dispatched = json!({ "order_id": "o1", "package_id": "p" });
        let event = received("shipment-dispatched", "sent", "2026-03-01T02:00:00Z", dispatched);
        send(&door, &pool, vec![event]).await;
        let mut conn = pool.acquire().await.unwrap();
        let lane = outbox::lane_of("o/o1");
        let queued = outbox::next(&mut conn, &[(lane, 0)], &HashSet::new(), 9).await.unwrap();
        let types: Vec<_> = queued.iter().map(|queued| queued.event_type.as_str()).collect();
        assert_eq!(types, ["shipment-required", "ship-notice-required"]);
        assert_eq!(queued[0].routing_key, "shipment-required.S1");
        let others: Vec<_> =
            (0..outbox::LANES).filter(|other| *other != lane).map(|other| (other, 0)).collect();
        assert!(outbox::next(&mut conn, &others, &HashSet::new(), 9).await.unwrap().is_empty());
        let now = store::clock(&mut conn).await.unwrap();
        outbox::confirm(&mut conn, &[queued[0].place()], now).await.unwrap();
        let published = "SELECT string_agg(type, ',') FROM read_model.derived_events
                         WHERE published_at IS NOT NULL";
        assert_eq!(value(&pool, published).await, "shipment-required");
        let figures = status::figures(&mut conn).await.unwrap();
        assert_eq!(figures.outbox, 1);
        assert!(figures.oldest_unpublished.is_some_and(|oldest| oldest <= figures.clock));
    })
    .await;
}

#[tokio::test]
async fn what_a_door_remembers_of_an_order_is_not_believed_once_another_has_changed_it() {
    with_database(async |pool| {
        let (one, other) = (door(&pool).await, door(&pool).await);
        let package = |package: &str| {
            let data = json!({ "order_id": "o1", "package_id": package });
            received("shipment-dispatched", package, "2026-03-03T00:00:00Z", data)
        };
        send(&one, &pool, vec![placed("o1", "B1", "2026-03-01T00:00:00Z")]).await;
        send(&other, &pool, vec![package("p1")]).await;
        send(&one, &pool, vec![package("p2")]).await;
        send(&other, &pool, vec![package("p3")]).await;
        let packages = "SELECT string_agg(package_id, ' ' ORDER BY package_id)
                        FROM read_model.packages";
        assert_eq!(value(&pool, packages).await, "p1 p2 p3");
        let cases = "SELECT events || ' ' || version FROM cases WHERE key = 'o/o1'";
        assert_eq!(value(&pool, cases).await, "4 4");
    })
    .await;
}

#[tokio::test]
async fn a_case_of_thousands_of_events_is_decided_from_time_to_time_and_holds_up_nobody() {
    with_database(async |pool| {
        let door = door(&pool).await;
        let message = |number: usize| {
            let data = json!({
                "message_id": format!("m{number}"), "thread_id": "t1", "order_id": "o1",
                "seller_id": "S1", "buyer_id": "B1", "from": "buyer", "topic": "where-is-it",
            });
            received("message-sent", &format!("m{number}"), "2026-03-02T00:00:00Z", data)
        };
        let cases = "SELECT string_agg(key || ' ' || events || ' ' || deferred, ', ' ORDER BY key)
                     FROM cases";
        send(&door, &pool, vec![placed("o1", "B1", "2026-03-01T00:00:00Z")]).await;
        send(&door, &pool, (0..1000).map(message).collect()).await;
        assert_eq!(value(&pool, cases).await, "o/o1 1001 false, t/t1 1000 false");

        let package = json!({ "order_id": "o1", "package_id": "p" });
        let dispatched = received("shipment-dispatched", "sent", "2026-03-03T00:00:00Z", package);
        let other = placed("o2", "B2", "2026-03-01T00:00:00Z");
        door.apply(&batch(vec![message(1000), dispatched, other])).await.unwrap();
        door.apply(&batch(vec![message(1001)])).await.unwrap();
        let deferred = "o/o1 1001 true, o/o2 1 false, t/t1 1000 true";
        assert_eq!(value(&pool, cases).await, deferred);
        assert_eq!(value(&pool, "SELECT count(*)::text FROM wake_ups").await, "2");
        let packages = "SELECT count(*)::text FROM read_model.packages";
        assert_eq!(value(&pool, packages).await, "0");
        let messages = "SELECT count(*) || ' ' || count(order_id) FROM read_model.messages";
        assert_eq!(value(&pool, messages).await, "1002 1000", "they can be read at once");

        settle(&door, &pool).await;
        let decided = "o/o1 1004 false, o/o2 1 false, t/t1 1002 false";
        assert_eq!(value(&pool, cases).await, decided);
        assert_eq!(value(&pool, packages).await, "1");
        assert_eq!(value(&pool, messages).await, "1002 1002");
        let decided = picture(&pool).await;
        let again = vec![order("o1"), CaseId::Thread(id("t1"))];
        assert_eq!(door.rebuild(again, true).await.unwrap().changes, []);
        assert_eq!(picture(&pool).await, decided, "nothing else follows from all of them at once");
    })
    .await;
}

#[tokio::test]
async fn the_extent_of_the_outbox_is_what_was_given_out_and_who_may_still_fill_it() {
    with_database(async |pool| {
        let mut conn = pool.acquire().await.unwrap();
        assert_eq!(outbox::extent(&mut conn).await.unwrap().position, 0, "the first is to come");
        let door = door(&pool).await;
        send(&door, &pool, vec![placed("o1", "B1", "2026-03-01T00:00:00Z")]).await;
        let mut other = pool.begin().await.unwrap();
        sqlx::query("INSERT INTO policies (content) VALUES ('{}')")
            .execute(&mut *other)
            .await
            .unwrap();
        let under_way = outbox::extent(&mut conn).await.unwrap();
        assert_eq!(under_way.position, 1);
        let later = outbox::extent(&mut conn).await.unwrap();
        assert!(later.ended <= under_way.begun, "the other still is");
        other.rollback().await.unwrap();
        // Those of other tests end soon, too.
        let all_ended =
            async { while outbox::extent(&mut conn).await.unwrap().ended <= under_way.begun {} };
        tokio::time::timeout(std::time::Duration::from_secs(60), all_ended).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_lane_is_one_connections_until_it_ends() {
    with_database(async |pool| {
        let lanes: Vec<i16> = (0..outbox::LANES).collect();
        let mut one = pool.acquire().await.unwrap();
        let mut other = pool.acquire().await.unwrap();
        assert_eq!(outbox::try_lanes(&mut one, &lanes).await.unwrap(), lanes);
        assert!(outbox::try_lanes(&mut other, &lanes).await.unwrap().is_empty());
        one.close().await.unwrap();
        // The server notices a moment later.
        let mut taken = Vec::new();
        while taken.len() < lanes.len() {
            taken.extend(outbox::try_lanes(&mut other, &lanes).await.unwrap());
            taken.sort();
            taken.dedup();
        }
        assert_eq!(taken, lanes);
    })
    .await;
}

#[tokio::test]
async fn a_rebuild_tells_what_would_differ_and_sends_it_only_when_asked() {
    with_database(async |pool| {
        let door = door(&pool).await;
        send(&door, &pool, vec![placed("o1", "B1", "2026-03-01T00:00:00Z")]).await;
        let outcome = door.rebuild(vec![order("o1")], false).await.unwrap();
        assert_eq!(outcome.changes, []);
        let before = picture(&pool).await;
        pool.execute("DELETE FROM outbox").await.unwrap();
        pool.execute("DELETE FROM derived_events").await.unwrap();
        pool.execute("UPDATE read_model.orders SET status = 'shipped'").await.unwrap();
        let outcome = door.rebuild(vec![order("o1")], false).await.unwrap();
        let kinds = |outcome: &[otodoke::pipeline::apply::Change]| -> Vec<_> {
            outcome.iter().map(|change| (change.event_type.clone(), change.kind)).collect()
        };
        assert!(
            kinds(&outcome.changes).contains(&("shipment-required".into(), ChangeKind::Derived))
        );
        assert_eq!(value(&pool, "SELECT status FROM read_model.orders").await, "unshipped");
        assert_eq!(value(&pool, "SELECT count(*)::text FROM outbox").await, "0");
        let published = door.rebuild(vec![order("o1")], true).await.unwrap();
        assert_eq!(kinds(&published.changes), kinds(&outcome.changes));
        assert_eq!(picture(&pool).await, before);
        assert_ne!(value(&pool, "SELECT count(*)::text FROM outbox").await, "0");
    })
    .await;
}

#[tokio::test]
async fn the_ends_of_the_calendar_can_be_stored() {
    with_database(async |pool| {
        let door = door(&pool).await;
        let events = vec![
            placed("o1", "B1", "0000-01-01T00:00:00+09:00"),
            placed("o2", "B2", "9999-12-31T23:59:59-23:59"),
        ];
        let outcome = send(&door, &pool, events).await;
        assert_eq!(outcome.accepted, 2);
        let first = "SELECT placed_at::text FROM read_model.orders WHERE order_id = 'o1'";
        assert!(value(&pool, first).await.ends_with("BC"));
        assert_eq!(door.rebuild(vec![order("o1"), order("o2")], false).await.unwrap().changes, []);
    })
    .await;
}

#[tokio::test]
async fn an_order_can_be_shown_and_found() {
    with_database(async |pool| {
        let door = door(&pool).await;
        send(&door, &pool, vec![placed("o1", "B1", "2026-03-01T00:00:00Z")]).await;
        let mut conn = pool.acquire().await.unwrap();
        let shown = store::orders::show(&mut conn, &id("o1")).await.unwrap().unwrap();
        assert_eq!(shown["order"]["status"], "unshipped");
        assert_eq!(shown["lines"][0]["quantity"], 1);
        assert!(store::orders::show(&mut conn, &id("o2")).await.unwrap().is_none());
        use store::orders::Search;
        for search in
            [Search::Email("b1@relay.EXAMPLE"), Search::Buyer(&id("B1")), Search::Number(&id("o1"))]
        {
            let found = store::orders::find(&mut conn, search.clone(), 9).await.unwrap();
            let ids: Vec<_> = found.iter().map(|order| &order["order_id"]).collect();
            assert_eq!(ids, ["o1"], "{search:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_large_batch_takes_no_more_statements_than_a_small_one() {
    with_database(async |pool| {
        let door = door(&pool).await;
        let events = |from: usize, to: usize| -> Vec<_> {
            (from..to)
                .flat_map(|n| {
                    let (order, buyer) = (format!("o{n}"), format!("B{n}"));
                    [
                        placed(&order, &buyer, "2026-03-01T00:00:00Z"),
                        inquiry(&format!("t{n}"), &buyer, "2026-03-02T00:00:00Z"),
                        refused(format!("{n}").as_bytes(), RejectionCode::NotJson),
                    ]
                })
                .collect()
        };
        let small = statements(async || drop(send(&door, &pool, events(0, 2)).await)).await;
        let large = statements(async || drop(send(&door, &pool, events(2, 200)).await)).await;
        assert_eq!(small.len(), large.len(), "{large:#?}");
        assert!(large.len() <= 42, "{} statements: {large:#?}", large.len());
    })
    .await;
}

/// The rows of a table as text, in some order that stays.
async fn rows(pool: &sqlx::PgPool, table: &str) -> String {
    let query = format!("SELECT coalesce(json_agg(t ORDER BY t::text), '[]')::text FROM {table} t");
    sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_history_that_was_one_table_is_moved_row_by_row_to_its_months() {
    with_database(async |new| {
        let theirs = door(&new).await;
        let asked = inquiry("t1", "B1", "2026-03-03T00:00:00Z");
        let first = placed("o1", "B1", "2026-03-01T00:00:00Z");
        let second = placed("o2", "B2", "2026-03-02T00:00:00Z");
        send(&theirs, &new, vec![first, second, asked]).await;
        new.execute("UPDATE cases SET opened_at = '2024-12-31T23:59:59Z' WHERE key = 'o/o2'")
            .await
            .unwrap();
        new.execute("UPDATE history SET opened = '2024-12-01' WHERE case_key = 'o/o2'")
            .await
            .unwrap();
        with_empty_database(async |old| {
            // As it was before.
            sqlx::migrate!().run_to(19, &old).await.unwrap();
            let policies = "INSERT INTO policies (content)
                            SELECT content FROM json_populate_recordset(NULL::policies, $1::json)";
            sqlx::query(policies).bind(rows(&new, "policies").await).execute(&old).await.unwrap();
            for table in ["cases", "history", "threads"] {
                let insert = format!(
                    "INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, $1::json)"
                );
                let there = rows(&new, table).await;
                sqlx::query(AssertSqlSafe(insert)).bind(there).execute(&old).await.unwrap();
            }
            let keys = "INSERT INTO event_keys SELECT key, content
                        FROM json_populate_recordset(NULL::event_keys, $1::json)";
            sqlx::query(keys).bind(rows(&new, "event_keys").await).execute(&old).await.unwrap();
            let before = rows(&old, "read_model.threads").await;

            store::migrate(&old).await.unwrap();
            assert_eq!(rows(&old, "history").await, rows(&new, "history").await);
            assert_eq!(rows(&old, "read_model.threads").await, before);
            let astray = "SELECT count(*)::text FROM history_default";
            assert_eq!(value(&old, astray).await, "0");
            let months = "SELECT string_agg(DISTINCT to_char(opened, 'YYYY-MM'), ' ')
                          FROM history_2024_12";
            assert_eq!(value(&old, months).await, "2024-12");
            let there = door(&old).await;
            let other = placed_as("o2", "B9", "2026-03-05T00:00:00Z", json!({}));
            let outcome = send(&there, &old, vec![other]).await;
            assert_eq!(outcome.dead.get(&RejectionCode::IdCollision), Some(&1));
            there.rebuild(vec![order("o1"), order("o2")], false).await.unwrap();
            let status = "SELECT status FROM read_model.orders WHERE order_id = 'o2'";
            assert_eq!(value(&old, status).await, "unshipped");
        })
        .await;
    })
    .await;
}
