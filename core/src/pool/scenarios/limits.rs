//! Limits of client tokens and addresses, where grants are given.

use super::*;

fn tenants(limits: TokenLimits) -> Pool {
    let mut pool = Pool::new(1);
    let tokens = vec![token("t", limits), token("free", TokenLimits::default())];
    pool.configure(with_tokens(snapshot(&["m"]), tokens), keys(3));
    pool
}

fn by(token: &str) -> Want {
    Want { token: token.into(), ..sized(100) }
}

/// The attempt ended and with it the client's request.
fn over(grant: &Grant, tokens: u64) -> Settle {
    let mut settle = used(grant, tokens);
    let usage = Usage { prompt_tokens: tokens, ..Usage::default() };
    settle.request = Some(RequestEnd { token: "t".into(), usage, ..RequestEnd::default() });
    settle
}

#[test]
fn so_many_requests_of_a_token_are_under_way_and_no_more() {
    let mut pool = tenants(TokenLimits { max_concurrent: Some(2), ..TokenLimits::default() });
    let first = grants(&mut pool, T, by("t")).remove(0);
    let _second = grants(&mut pool, T, by("t"));
    let waits = ask(&mut pool, T, by("t"));
    assert!(matches!(waits, Given::Ticket { after_ms: 200.., .. }), "{waits:?}");
    let hasty = ask(&mut pool, T, Want { deadline_ms: 50, ..by("t") });
    assert!(matches!(hasty, Given::RetryAfter { why: Waiting::Token, .. }), "{hasty:?}");
    assert_eq!(grants(&mut pool, T, by("free")).len(), 1, "others are not held up");
    pool.apply(T + 300, &[over(&first, 50)]);
    assert_eq!(grants(&mut pool, T + 300, by("t")).len(), 1);
    assert!(!matches!(ask(&mut pool, T + 300, by("t")), Given::Grants(_)));
}

#[test]
fn a_request_that_is_never_reported_gives_its_place_back() {
    let mut pool = tenants(TokenLimits { max_concurrent: Some(1), ..TokenLimits::default() });
    let _lost = grants(&mut pool, T, by("t"));
    let later = T + crate::limits::grant::SENT_LAPSES_MS;
    pool.apply(later, &[]);
    assert_eq!(grants(&mut pool, later, by("t")).len(), 1);
}

#[test]
fn a_retry_is_no_second_request_of_its_token() {
    let mut pool = tenants(TokenLimits { requests_per_minute: Some(2), ..TokenLimits::default() });
    for n in 0..5 {
        let grant = grants(&mut pool, T, Want { attempts_left: 40 - n, ..by("t") }).remove(0);
        pool.apply(T, &[failed(&grant, Fault::Path, None)]);
    }
    assert_eq!(grants(&mut pool, T, by("t")).len(), 1, "the second request of two a minute");
    let third = ask(&mut pool, T, Want { deadline_ms: 0, ..by("t") });
    assert_eq!(third, Given::RetryAfter { after_ms: 30_000, why: Waiting::Token });
    assert_eq!(grants(&mut pool, T + 30_000, by("t")).len(), 1, "which is true");
}

#[test]
fn tokens_are_counted_as_used_and_not_as_reserved() {
    let mut pool = tenants(TokenLimits { tokens_per_minute: Some(1_000), ..TokenLimits::default() });
    let want = || Want { token: "t".into(), deadline_ms: 0, ..sized(900) };
    let first = grants(&mut pool, T, want()).remove(0);
    assert!(matches!(ask(&mut pool, T, want()), Given::RetryAfter { why: Waiting::Token, .. }));
    pool.apply(T, &[over(&first, 100)]);
    assert_eq!(grants(&mut pool, T, want()).len(), 1);
}

#[test]
fn a_days_tokens_that_are_used_up_are_back_at_midnight() {
    let mut pool = tenants(TokenLimits { tokens_per_day: Some(1_000), ..TokenLimits::default() });
    let first = grants(&mut pool, T, Want { token: "t".into(), ..sized(1_000) }).remove(0);
    pool.apply(T, &[over(&first, 1_000)]);
    let said = ask(&mut pool, T, Want { deadline_ms: 0, ..by("t") });
    let midnight = DAY - T % DAY;
    assert_eq!(said, Given::RetryAfter { after_ms: midnight, why: Waiting::Token });
    assert_eq!(grants(&mut pool, T + midnight, by("t")).len(), 1);
}

#[test]
fn what_a_token_has_left_travels_with_the_answer() {
    let mut pool = tenants(TokenLimits { requests_per_minute: Some(10), ..TokenLimits::default() });
    let ask =
        |token: &str| Ask { v: VERSION, generation: 1, epoch: 1, want: Some(by(token)), ..Ask::default() };
    let said = pool.ask(T, &ask("t")).allowance.unwrap().requests_minute.unwrap();
    assert_eq!((said.limit, said.remaining, said.reset_ms), (10, 9, 6_000));
    assert!(pool.ask(T, &ask("free")).allowance.is_none());
}

#[test]
fn an_address_has_its_share_in_public_mode() {
    let mut pool = Pool::new(1);
    let mut config = snapshot(&["m"]);
    config.settings.address_requests_per_minute = 3;
    pool.configure(config, keys(2));
    let from = |address: &str| Want { address: Some(address.into()), ..want() };
    for _ in 0..3 {
        grants(&mut pool, T, from("a"));
    }
    let fourth = ask(&mut pool, T, Want { deadline_ms: 5_000, ..from("a") });
    assert_eq!(fourth, Given::RetryAfter { after_ms: 20_000, why: Waiting::Address });
    assert!(matches!(ask(&mut pool, T, Want { deadline_ms: 30_000, ..from("a") }), Given::Ticket { .. }));
    assert_eq!(grants(&mut pool, T, from("b")).len(), 1);
    let retry = Want { attempts_left: 39, ..from("a") };
    assert!(!grants(&mut pool, T, retry).is_empty(), "a further attempt is no further request");
    assert_eq!(grants(&mut pool, T + 20_000, from("a")).len(), 1);
}

#[test]
fn a_token_is_not_held_to_its_address() {
    let mut pool = tenants(TokenLimits::default());
    for _ in 0..500 {
        grants(&mut pool, T, Want { address: Some("a".into()), ..by("free") });
    }
}
