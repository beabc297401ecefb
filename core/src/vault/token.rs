//! Client tokens, session tokens and the setup code: how they are made and which are taken.

use super::primitives::to_text;
use super::strength::{bits_at_most, not_random};
use super::{Secret, VaultError};
use crate::limits::auth;

/// What Rondo's own client tokens start with.
pub const CLIENT_TOKEN_PREFIX: &str = "rk-";
/// What session tokens start with, so that one pasted in the wrong place is recognised.
pub const SESSION_TOKEN_PREFIX: &str = "rs-";

/// A new client token: `rk-` and 43 characters of base64url, from 256 random bits.
pub fn new_client_token(entropy: [u8; 32]) -> Secret<String> {
    Secret::new(format!("{CLIENT_TOKEN_PREFIX}{}", to_text(&entropy)))
}

/// A new session token: `rs-` and 43 characters of base64url, from 256 random bits.
pub fn new_session_token(entropy: [u8; 32]) -> Secret<String> {
    Secret::new(format!("{SESSION_TOKEN_PREFIX}{}", to_text(&entropy)))
}

/// A new setup code: 32 characters of base64url, from 192 random bits.
pub fn new_setup_code(entropy: [u8; 24]) -> Secret<String> {
    Secret::new(to_text(&entropy))
}

/// Whether the secret `SETUP_TOKEN` is strong enough to guard the first visit: 22 to 512 printable ASCII
/// characters without spaces that may hold 128 bits (32 if they are hexadecimal, 39 if digits) and that are no
/// pattern or placeholder. White space around it is no part of it.
pub fn is_strong_setup_code(code: &str) -> bool {
    let code = code.trim();
    code.len() <= auth::SETUP_CODE_MAX_CHARS
        && code.bytes().all(|b| b.is_ascii_graphic())
        && bits_at_most(code) >= auth::SECRET_MIN_BITS
        && not_random(code).is_none()
}

/// Whether an operator's own token value may become a token: 16 to 512 printable ASCII characters, no spaces
/// (headers lose them at the ends).
pub fn check_own_token(token: &str) -> Result<(), VaultError> {
    if token.len() > auth::TOKEN_MAX_CHARS {
        return Err(VaultError::TooLong { what: "token", max: auth::TOKEN_MAX_CHARS });
    }
    if !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(VaultError::NotAllowed("token may hold printable ASCII characters only, without spaces"));
    }
    if token.len() < auth::OWN_TOKEN_MIN_CHARS {
        return Err(VaultError::TooShort { what: "token", min: auth::OWN_TOKEN_MIN_CHARS });
    }
    Ok(())
}

/// Whether a text from a request's header can be any token or session at all; what cannot is not worth a digest.
/// Shorter than [`check_own_token`] asks is possible: a token of the environment may be older than that rule.
pub fn could_be_token(text: &str) -> bool {
    (1..=auth::TOKEN_MAX_CHARS).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn new_tokens_have_their_prefix_and_all_their_entropy() {
        let client = new_client_token([0xff; 32]);
        assert_eq!(client.expose(), "rk-__________________________________________8");
        let session = new_session_token([0; 32]);
        assert_eq!(session.expose(), "rs-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(format!("{client:?}{session}"), "******");
    }

    #[test]
    fn weak_setup_codes_are_refused() {
        let long = format!("{}{}", "q3yYkz0Jx8nV5w2mT7uLrA", "9cF4hB6dEo".repeat(50));
        let weak = [
            "",
            "q3yYkz0Jx8nV5w2mT7uLr",
            "9f86d081884c7d659a2feaa0c55",
            "48151623424815162342108090475163",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "abcdefghijkabcdefghijkabcdefghijk",
            "change-me-to-something-long",
            "q3yYkz0Jx8nV 5w2mT7uLrA9cF",
            "q3yYkz0Jx8nVü5w2mT7uLrA9cF",
            &long,
        ];
        for code in weak {
            assert!(!is_strong_setup_code(code), "{code}");
        }
    }

    #[test]
    fn strong_setup_codes_are_taken_in_every_usual_spelling() {
        let strong = [
            "q3yYkz0Jx8nV5w2mT7uLrA",
            "q3yYkz0Jx8nV5w2mT7uLrA\n",
            "9f86d081884c7d659a2feaa0c55ad015",
            "q3yYkz0J+8nV5w2mT7/LrA9cF4hB6dEo1sPiKgNvXtI=",
        ];
        for code in strong {
            assert!(is_strong_setup_code(code), "{code}");
        }
    }

    #[test]
    fn an_operators_own_token_is_16_to_512_printable_characters() {
        assert!(check_own_token("0123456789abcde!").is_ok());
        assert!(check_own_token(&"x".repeat(512)).is_ok());
        assert_eq!(check_own_token("0123456789abcde"), Err(VaultError::TooShort { what: "token", min: 16 }));
        assert_eq!(check_own_token(&"x".repeat(513)), Err(VaultError::TooLong { what: "token", max: 512 }));
        for bad in ["0123456789 abcdef", " 0123456789abcdef", "0123456789abcdefü", "0123456789abcdef\n"] {
            assert!(matches!(check_own_token(bad), Err(VaultError::NotAllowed(_))), "{bad:?}");
        }
    }

    #[test]
    fn what_cannot_be_a_token_is_told_before_it_is_digested() {
        assert!(could_be_token("x"));
        assert!(could_be_token(&"x".repeat(512)));
        assert!(!could_be_token(""));
        assert!(!could_be_token(&"x".repeat(513)));
        assert!(!could_be_token("two words"));
    }

    proptest! {
        #[test]
        fn whatever_is_made_is_taken(entropy: [u8; 32], code: [u8; 24]) {
            prop_assume!(not_random(&to_text(&code)).is_none());
            prop_assert!(could_be_token(new_session_token(entropy).expose()));
            prop_assert!(check_own_token(new_client_token(entropy).expose()).is_ok());
            prop_assert!(is_strong_setup_code(new_setup_code(code).expose()));
        }
    }
}
