//! The format of what is stored, pinned: a new version must read what this one wrote. A line here is only ever
//! added, never changed.

use super::*;
use crate::pool::Leased;
use crate::pool::books::UsageRow;
use crate::pool::keys::{GroupState, KeyState};
use crate::pool::models::ModelState;

const KEY: &str = r#"{"invalid":{"since":1790000000000,"until":1790000300000,"reason":"refused by the upstream"},"rest_until":1790000004000,"failures":3,"failed_at":1790000000000}"#;
const GROUP: &str =
    r#"{"suspended":{"since":1790000000000,"until":1790021600000,"reason":"payment required"}}"#;
const MODEL: &str = r#"{"missing":[["key:k0",1790000000000],["group:org",1790000000500]],"since":1790000000500,"gone_until":1790000600500,"answered_at":1789999990000,"ratio":1331,"spread":40}"#;
const QUOTAS: &str = r#"{"key:k0":{"m":{"m":[{"c":"r","w":"m","b":{"l":60,"w":60000,"f":1790000030000000}},{"c":"t","w":"m","b":{"l":60000,"w":60000,"f":1790000040000000},"f":true},{"c":"u","w":"h","b":{"l":900000,"w":3600000,"f":0}},{"c":"a","w":"d","b":{"l":180000,"w":86400000,"f":1790000060000000},"i":true}],"u":1790000005000,"e":1790000600000,"s":2,"x":50000,"g":480},"n":{"q":true,"n":9}}}"#;
const TOKEN: &str = r#"{"q":{"b":{"l":100,"w":60000,"f":1790000000600000},"f":1790000000000},"t":{"b":{"l":10000,"w":60000,"f":1790000030000000},"f":1790000000000},"d":{"f":1789948800000,"e":1790035200000,"u":1200,"r":5000},"m":{"f":1788220800000,"e":1790812800000,"u":90000,"r":5000},"o":1,"a":1790000000000}"#;
const USAGE: &str = r#"{"grain":"hour","dim":"pool","id":"","at":1789999200000,"r":9,"e":2,"x":1,"p":90,"c":45,"h":5,"q":6,"d":7,"l":1790000000000,"t":{"e":[1,0,0,0,1],"l":{"s":4200,"b":[[5,4],[12,2]]},"f":{"s":320,"b":[[4,7]]}}}"#;
const USAGE_BEFORE_DETAILS: &str = r#"{"grain":"total","dim":"key","id":"k0","at":0,"r":9,"e":2,"x":1,"p":90,"c":45,"h":5,"q":6,"d":7,"l":1790000000000}"#;
const LEASED: &str = r#"{"id":68719476737,"k":"k0","m":"m","t":16484}"#;

/// What the operator has set: its bucket is stored as set, and comes back only while it is.
fn figures() -> Vec<LimitOverride> {
    vec![LimitOverride { model: "m".into(), tokens_per_minute: Some(60_000), ..LimitOverride::default() }]
}

fn back<T: serde::de::DeserializeOwned + serde::Serialize>(json: &str) -> String {
    serde_json::to_string(&serde_json::from_str::<T>(json).unwrap()).unwrap()
}

#[test]
fn what_was_stored_is_read_and_written_as_it_was() {
    assert_eq!(back::<KeyState>(KEY), KEY);
    assert_eq!(back::<GroupState>(GROUP), GROUP);
    assert_eq!(back::<ModelState>(MODEL), MODEL);
    assert_eq!(back::<Leased>(LEASED), LEASED);
    assert_eq!(back::<UsageRow>(USAGE), USAGE);
    assert_eq!(back::<UsageRow>(USAGE_BEFORE_DETAILS), USAGE_BEFORE_DETAILS);
    let mut pool = limited(1, None, None);
    pool.snapshot.settings.limit_overrides = figures();
    pool.restore_state(&format!("quotas:{}", crate::pool::state::page_of("key:k0")), QUOTAS);
    pool.restore_state("token:t", TOKEN);
    let group = pool.roster.group_at("k0").unwrap();
    pool.touch_quota(group);
    let page = pool.checkpoint(T).states.into_iter().find(|(name, _)| name.starts_with("quotas:")).unwrap().1;
    assert_eq!(page, QUOTAS);
    assert_eq!(pool.tenants.state("t").unwrap(), TOKEN);
}

#[test]
fn what_was_stored_means_what_it_meant() {
    let mut pool = limited(1, None, None);
    pool.snapshot.settings.limit_overrides = figures();
    pool.restore_state("key:k0", KEY);
    let said = pool.key_status("k0", T).unwrap();
    assert_eq!((said.status.as_str(), said.until), ("invalid", Some(1_790_000_300_000)));
    pool.restore_state("key:k0", "{}");
    pool.restore_state("group:key:k0", GROUP);
    assert_eq!(pool.key_status("k0", T).unwrap().until, Some(1_790_021_600_000));
    pool.restore_state("group:key:k0", "{}");
    pool.restore_state(&format!("quotas:{}", crate::pool::state::page_of("key:k0")), QUOTAS);
    assert_eq!(pool.key_status("k0", T).unwrap().until, Some(1_790_000_005_000));
    let quota = quota(&pool, "k0", "m");
    assert_eq!(
        (quota.missing_until, quota.strikes, quota.refused_from),
        (1_790_000_600_000, 2, Some(50_000))
    );
    let levels: Vec<i64> = quota.meters.iter().map(|meter| meter.bucket.level(T)).collect();
    assert_eq!(levels, [30, 20_000, 900_000, 179_875]);
    pool.restore_state("model:m", MODEL);
    assert_eq!(pool.models.get("m").unwrap().state.corrected(1_000), 1_339);
    let limits = TokenLimits { tokens_per_day: Some(10_000), ..TokenLimits::default() };
    pool.restore_state("token:t", TOKEN);
    let left = pool.tenants.allowance(T, &token("t", limits)).unwrap().tokens_day.unwrap();
    assert_eq!(left.remaining, 10_000 - 1_200 - 5_000);
}

#[test]
fn states_from_before_a_field_was_added_are_read() {
    for json in ["{}", r#"{"rest_until":5}"#, r#"{"failures":1,"unknown":{"x":[1]}}"#] {
        serde_json::from_str::<KeyState>(json).unwrap();
    }
    for json in ["{}", r#"{"since":1,"gone_until":2}"#, r#"{"unknown":1}"#] {
        serde_json::from_str::<ModelState>(json).unwrap();
        serde_json::from_str::<GroupState>(json).unwrap();
        serde_json::from_str::<Quota>(json).unwrap();
    }
    let mut pool = limited(1, None, None);
    pool.snapshot.settings.limit_overrides = figures();
    pool.restore_state("token:t", "{}");
    assert!(pool.tenants.state("t").is_some());
}

#[test]
fn text_that_is_no_state_is_left_out() {
    let mut pool = limited(1, None, None);
    pool.snapshot.settings.limit_overrides = figures();
    for name in ["key:k0", "group:key:k0", "model:m", "quotas:5", "token:t", "unknown:x", "nothing"] {
        for json in ["", "null", "[]", "{", "7", r#"{"rest_until":"x"}"#] {
            pool.restore_state(name, json);
        }
    }
    assert_eq!(grant(&mut pool, T).delay_ms, 0);
}
