#![no_main]

use libfuzzer_sys::fuzz_target;
use rondo_core::wire::sse::{EventScanner, Gate, Tail};

// The readers of event streams: no cut changes what they read.
fuzz_target!(|data: &[u8]| {
    let cut = usize::from(data.first().copied().unwrap_or(0)) * data.len() / 255;
    let pieces = |cut: usize| [&data[..cut], &data[cut..]];
    let events = |cut: usize| {
        let mut events = Vec::new();
        let mut scanner = EventScanner::new(1024);
        for piece in pieces(cut) {
            scanner.feed(piece, |event| events.push((event.name, event.data.to_vec(), event.lost)));
        }
        events
    };
    assert_eq!(events(0), events(cut));
    let followed = |cut: usize| {
        let mut tail = Tail::default();
        pieces(cut).into_iter().for_each(|piece| tail.feed(piece));
        format!("{:?}", tail.end())
    };
    assert_eq!(followed(0), followed(cut));
    let mut gate = Gate::new();
    let _ = gate.feed(data);
    let _ = gate.end();
});
