use super::*;

fn run(bytes: &[u8]) -> Result<usize, Fault> {
    let mut lexer = Lexer::new(bytes);
    let mut count = 0;
    while lexer.next()? != Token::End {
        count += 1;
    }
    Ok(count)
}

#[test]
fn a_string_ends_at_its_first_bare_quote_wherever_it_lies() {
    for length in 0..70 {
        for special in [b'"', b'\\', b'\n', 0x1F] {
            let mut text = vec![b'a'; length];
            text.push(special);
            text.extend_from_slice(&[b'z'; 40]);
            assert_eq!(plain_run(&text, &mut 0), length, "{special} behind {length} bytes");
        }
    }
}

#[test]
fn bytes_next_to_the_special_ones_are_plain() {
    let text: Vec<u8> = [0x20, 0x21, 0x23, 0x5B, 0x5D, 0x7F, 0x80, 0xA2, 0xDC, 0xFF].repeat(10);
    assert_eq!(plain_run(&text, &mut 0), text.len());
}

#[test]
fn faults_are_told_apart() {
    assert_eq!(run(b"[1,2"), Err(Fault::Eof));
    assert_eq!(run(b"[1,]"), Err(Fault::Syntax));
    assert_eq!(run(b"{\"a\":1}x"), Err(Fault::Trailing));
    assert_eq!(run(b"\"\x01\""), Err(Fault::Control));
    assert_eq!(run(b"\"\xff\""), Err(Fault::Utf8));
    assert_eq!(run(br#""\q""#), Err(Fault::Escape));
    assert_eq!(run(br#""\ud800x""#), Err(Fault::Surrogate));
    assert_eq!(run(br#""\udc00""#), Err(Fault::Surrogate));
    assert_eq!(run(b"[01]"), Err(Fault::Number));
    assert_eq!(run(b"{\"a\":[1,true,null,\"x\"]}"), Ok(9));
}

#[test]
fn nesting_is_read_to_its_limit_and_no_deeper() {
    let deep = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
    assert_eq!(run(&deep(MAX_DEPTH as usize)), Ok(256));
    assert_eq!(run(&deep(MAX_DEPTH as usize + 1)), Err(Fault::TooDeep));
}
