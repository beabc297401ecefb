//! A restart at any moment.

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Ok,
    Fail(Fault, Option<u64>),
    Unused,
    Checkpoint,
}

fn step() -> impl proptest::strategy::Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Ok),
        2 => (prop_oneof![
            Just(Fault::Quota), Just(Fault::Key), Just(Fault::Payment), Just(Fault::Upstream), Just(Fault::Model),
        ], proptest::option::of(0_u64..5_000)).prop_map(|(fault, after)| Step::Fail(fault, after)),
        1 => Just(Step::Unused),
        1 => Just(Step::Checkpoint),
    ]
}

proptest! {
    /// A restart at any moment: the last checkpoint and the journal since give the same books and standing.
    #[test]
    fn checkpoint_and_journal_give_the_same_state_again(steps in proptest::collection::vec((step(), 0_u64..3_000), 1..60)) {
        let rows = || (0..4).map(|n| KeyRow { group: (n < 2).then(|| "g".into()), ..key(&format!("k{n}")) }).collect::<Vec<_>>();
        let mut live = Pool::new(1);
        live.configure(snapshot(&["a", "b"]), rows());
        let (mut usage, mut states) = (std::collections::HashMap::new(), std::collections::HashMap::new());
        let mut journal: Vec<(bool, u64, Vec<Settle>)> = Vec::new();
        let mut now = 1_000_000;
        for (step, passed) in steps {
            now += passed;
            let end = match step {
                Step::Checkpoint => {
                    let checkpoint = live.checkpoint(now);
                    for row in checkpoint.usage {
                        usage.insert((row.grain, row.dim, row.id.clone(), row.at), row);
                    }
                    for (name, json) in checkpoint.states {
                        if json.is_empty() { states.remove(&name); } else { states.insert(name, json); }
                    }
                    journal.iter_mut().for_each(|entry| entry.0 = true);
                    continue;
                }
                Step::Ok => AttemptEnd::Ok,
                Step::Unused => AttemptEnd::Unused,
                Step::Fail(fault, _) => AttemptEnd::Failed(fault),
            };
            let Given::Grants(mut given) = ask(&mut live, now, want()) else { continue };
            let mut settle = ended(&given.remove(0), end);
            let attempt = settle.attempt.as_mut().unwrap();
            attempt.usage.prompt_tokens = passed;
            attempt.retry_after_ms = if let Step::Fail(_, after) = step { after } else { None };
            settle.request = Some(RequestEnd { token: "t".into(), ..RequestEnd::default() });
            live.apply(now, std::slice::from_ref(&settle));
            journal.push((false, now, vec![settle]));
        }

        let mut again = Pool::new(2);
        again.configure(snapshot(&["a", "b"]), rows());
        usage.values().for_each(|row| again.restore_usage(row));
        states.iter().for_each(|(name, json)| again.restore_state(name, json));
        for (covered, at, settles) in &journal {
            if *covered { again.remember(*at, settles) } else { again.apply(*at, settles) }
        }
        for n in 0..4 {
            let id = format!("k{n}");
            prop_assert_eq!(live.key_status(&id, now), again.key_status(&id, now));
            prop_assert_eq!(live.books().total(Dim::Key, &id), again.books().total(Dim::Key, &id));
        }
        prop_assert_eq!(live.books().total(Dim::Token, "t"), again.books().total(Dim::Token, "t"));
        for model in ["a", "b"] {
            prop_assert_eq!(
                live.models.get(model).map(|model| model.state.clone()).unwrap_or_default(),
                again.models.get(model).map(|model| model.state.clone()).unwrap_or_default()
            );
        }
        // Repeating the whole journal changes nothing: numbers are kept two minutes.
        if journal.first().is_none_or(|first| now - first.1 < 100_000) {
            let before = again.books().total(Dim::Token, "t");
            for (_, _, settles) in &journal {
                again.apply(now, settles);
            }
            prop_assert_eq!(before, again.books().total(Dim::Token, "t"));
        }
    }
}
