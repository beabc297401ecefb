use super::*;
use crate::config::{AccessMode, Snapshot};
use crate::pool::Pool;
use crate::pool::protocol::{Ask, Attempt, Fault, Given, RefusedWhy, RequestEnd, VERSION, Want};

fn ended(number: u64, status: u16) -> Settle {
    let told = Told { id: format!("req-{number}"), asked: Some("alias".into()), ..Told::default() };
    Settle {
        id: number,
        attempt: Some(Attempt { key: "k2".into(), model: "m".into(), status, ..Attempt::default() }),
        request: Some(RequestEnd {
            token: "t".into(),
            model: "m".into(),
            status,
            error: status >= 400,
            told: Some(Box::new(told)),
            ..RequestEnd::default()
        }),
        ..Settle::default()
    }
}

fn told(settle: &mut Settle) -> &mut Told {
    settle.request.as_mut().unwrap().told.as_mut().unwrap()
}

fn seqs<'a>(stories: impl Iterator<Item = &'a Story>) -> Vec<u64> {
    stories.map(|story| story.seq).collect()
}

#[test]
fn a_story_tells_the_attempts_before_the_last_and_the_last_one() {
    let mut settle = ended(7, 200);
    let failed = AttemptEnd::Failed(Fault::Key);
    let first = Tried { key: "k1".into(), end: failed, status: 401, grant: 6, ..Tried::default() };
    told(&mut settle).attempts.push(first.clone());
    let mut stories = Stories::new(0);
    stories.note(50, &settle);
    let story = stories.since(0, 1).next().unwrap();
    assert_eq!((story.seq, story.at, story.id.as_str(), story.token.as_str()), (1, 50, "req-7", "t"));
    assert_eq!(story.attempts.first(), Some(&first));
    let last = story.attempts.last().unwrap();
    assert_eq!((last.key.as_str(), last.grant, last.status, last.end), ("k2", 7, 200, AttemptEnd::Ok));
    assert_eq!(story.attempts.len(), 2);
}

#[test]
fn the_last_thousand_are_kept_and_counted_on() {
    let mut stories = Stories::new(0);
    let many = RECENT_REQUESTS as u64 + 5;
    (1..=many).for_each(|n| stories.note(n, &ended(n, 200)));
    assert_eq!((stories.kept(), stories.seq()), (RECENT_REQUESTS, many));
    assert_eq!(seqs(stories.latest(2, &Filter::default())), [many, many - 1]);
    assert_eq!(stories.since(0, usize::MAX).next().unwrap().seq, 6);
}

#[test]
fn who_follows_gets_what_is_new_and_finds_his_place_after_a_restart() {
    let mut stories = Stories::new(1);
    let start = stories.seq();
    assert!(!stories.any_since(start));
    (1..=5).for_each(|n| stories.note(n, &ended(n, 200)));
    assert_eq!(seqs(stories.since(start + 3, 10)), [start + 4, start + 5]);
    assert_eq!(seqs(stories.since(start, 2)), [start + 4, start + 5], "of too many the newest");
    assert!(stories.any_since(start) && !stories.any_since(start + 5));
    let mut next = Stories::new(2);
    next.note(9, &ended(9, 200));
    assert_eq!(next.since(start + 5, 10).count(), 1);
    assert_eq!(stories.since(next.seq(), 10).count(), 5, "a number of another object");
}

#[test]
fn stories_are_found_by_end_token_model_and_place() {
    let mut stories = Stories::new(0);
    for (n, status) in [(1, 200), (2, 429), (3, 502), (4, 200)] {
        stories.note(n, &ended(n, status));
    }
    let found = |filter: Filter| seqs(stories.latest(10, &filter));
    let by = |ended| Filter { ended: Some(ended), ..Filter::default() };
    assert_eq!(found(by(Ended::Ok)), [4, 1]);
    assert_eq!(found(by(Ended::Error)), [3, 2]);
    assert_eq!(found(by(Ended::Status(429))), [2]);
    assert_eq!(found(Filter { before: Some(3), ..Filter::default() }), [2, 1]);
    assert_eq!(found(Filter { token: Some("other".into()), ..Filter::default() }), [0; 0]);
    for model in ["m", "alias"] {
        assert_eq!(found(Filter { model: Some(model.into()), ..Filter::default() }).len(), 4, "{model}");
    }
}

#[test]
fn whatever_an_isolate_says_is_clipped() {
    let mut settle = ended(1, 200);
    let long = "ü".repeat(10_000);
    *told(&mut settle) = Told {
        id: long.clone(),
        asked: Some(long.clone()),
        attempts: vec![Tried { key: long.clone(), model: long, ..Tried::default() }; 100],
        ..Told::default()
    };
    let mut stories = Stories::new(0);
    stories.note(1, &settle);
    let story = stories.since(0, 1).next().unwrap();
    assert!(story.id.len() <= REQUEST_ID_BYTES && story.asked.as_ref().unwrap().len() <= MODEL_ID_BYTES);
    assert_eq!(story.attempts.len(), ATTEMPTS_TOLD);
    assert_eq!(story.attempts.last().unwrap().key, "k2", "the last attempts stay");
    assert!(serde_json::to_string(story).unwrap().len() < 32_000);
}

#[test]
fn a_report_told_twice_is_one_story_and_one_without_is_none() {
    let mut pool = Pool::new(3);
    let settle = ended(1, 200);
    pool.apply(1, std::slice::from_ref(&settle));
    pool.apply(2, &[settle]);
    let mut plain = ended(2, 200);
    plain.request.as_mut().unwrap().told = None;
    pool.apply(3, &[plain]);
    assert_eq!((pool.stories().kept(), pool.stories().seq()), (1, 3 * NUMBERS + 1));
}

#[test]
fn reports_are_written_down_without_stories_and_read_with_or_without() {
    let mut settles = vec![ended(1, 200), Settle::default(), ended(2, 500)];
    let whole = settles.clone();
    let lifted = lift(&mut settles);
    let written = serde_json::to_string(&settles).unwrap();
    assert!(!written.contains("told") && !written.contains("req-"), "{written}");
    assert_eq!(serde_json::from_str::<Vec<Settle>>(&written).unwrap(), settles);
    put_back(&mut settles, lifted);
    assert_eq!(settles, whole);
    let wire = serde_json::to_string(&whole).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Settle>>(&wire).unwrap(), whole);
    // As the last release writes it.
    let old = r#"{"id":5,"request":{"token":"t","model":"m","status":200,"error":false,"attempts":1,"wait_ms":0,"duration_ms":9}}"#;
    assert_eq!(serde_json::from_str::<Settle>(old).unwrap().request.unwrap().told, None);
    assert_eq!(serde_json::from_str::<Told>("{}").unwrap(), Told::default());
    let usual = serde_json::to_string(&Told { id: "r".into(), ..Told::default() }).unwrap();
    assert_eq!(usual, r#"{"i":"r"}"#, "what travels with every request");
}

#[test]
fn only_the_playground_asks_without_a_token_while_tokens_are_needed() {
    let mut pool = Pool::new(1);
    let snapshot = Snapshot::default();
    assert_eq!(snapshot.settings.access_mode, AccessMode::Token);
    pool.configure(snapshot, Vec::new());
    let mut refused = |want: Want| {
        let ask = Ask { v: VERSION, want: Some(want), ..Ask::default() };
        match pool.ask(1, &ask).outcome {
            Some(Given::Refused(why)) => why,
            other => panic!("{other:?}"),
        }
    };
    let want = Want { count: 1, model: Some("m".into()), ..Want::default() };
    assert_eq!(refused(want.clone()), RefusedWhy::Token);
    assert_ne!(refused(Want { playground: true, ..want.clone() }), RefusedWhy::Token);
    let named = Want { playground: true, token: "gone".into(), ..want };
    assert_eq!(refused(named), RefusedWhy::Token, "a token that is named has to be good");
}
