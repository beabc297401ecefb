//! What is counted.

use super::*;

#[test]
fn settling_twice_counts_once_and_an_unknown_number_still_counts() {
    let mut pool = pool(1);
    let grant = grant(&mut pool, 0);
    let settle = ended(&grant, AttemptEnd::Ok);
    pool.apply(0, &[settle.clone(), settle]);
    let mut unknown = ended(&grant, AttemptEnd::Ok);
    unknown.id = LOCAL_GRANT | 5;
    pool.apply(0, &[unknown]);
    assert_eq!(pool.books().total(Dim::Key, "k0").requests, 2);
}

#[test]
fn estimates_are_kept_apart_from_counted_tokens() {
    let mut pool = pool(1);
    let exact = Usage { prompt_tokens: 10, completion_tokens: 5, ..Usage::default() };
    for (n, estimated) in [false, true].into_iter().enumerate() {
        let usage = Usage { estimated, ..exact };
        let mut settle =
            ended(&grant(&mut pool, 0), if estimated { AttemptEnd::Cut } else { AttemptEnd::Ok });
        settle.attempt.as_mut().unwrap().usage = usage;
        settle.request = Some(RequestEnd {
            token: "t".into(),
            usage,
            cut: estimated,
            status: 200,
            ..RequestEnd::default()
        });
        pool.apply(n as u64, &[settle]);
    }
    for (dim, id) in [(Dim::Key, "k0"), (Dim::Token, "t"), (Dim::Pool, "")] {
        let total = pool.books().total(dim, id);
        assert_eq!((total.requests, total.cut), (2, 1));
        assert_eq!((total.prompt_tokens, total.completion_tokens), (10, 5));
        assert_eq!((total.estimated_prompt_tokens, total.estimated_completion_tokens), (10, 5));
    }
}
