//! Who gets a grant at all.

use super::*;

#[test]
fn an_unknown_disabled_or_expired_token_gets_no_grant() {
    let mut pool = Pool::new(1);
    let mut config = snapshot(&["m"]);
    config.settings.access_mode = AccessMode::Token;
    let token = |id: &str| Token {
        enabled: id != "off",
        expires_at: (id == "old").then_some(10),
        ..token(id, TokenLimits::default())
    };
    config.tokens = ["on", "off", "old"].map(token).to_vec();
    pool.configure(config, vec![key("k")]);
    let with = |pool: &mut Pool, id: &str| ask(pool, 10, Want { token: id.into(), ..want() });
    assert!(matches!(with(&mut pool, "on"), Given::Grants(_)));
    for id in ["off", "old", "unknown", ""] {
        assert_eq!(with(&mut pool, id), Given::Refused(RefusedWhy::Token), "{id:?}");
    }
}

#[test]
fn an_answer_brings_the_snapshot_only_when_the_askers_is_older() {
    let mut pool = pool(1);
    let ask = |epoch| Ask { v: VERSION, generation: 1, epoch, ..Ask::default() };
    assert!(pool.ask(0, &ask(1)).snapshot.is_none());
    assert_eq!(pool.ask(0, &ask(0)).snapshot.unwrap().epoch, 1);
}
