//! What is known of those who ask: tokens and a user's password, compared so that the time tells nothing.
//!
//! Every comparison goes over all that is known, whatever was found before, and over all bytes of what has the right
//! length. What the time may tell is how long the known ones are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

use crate::config::{Auth, Right, Secret};

/// The rights that somebody showed to have; each request carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Granted(u8);

impl Granted {
    const NOTHING: Self = Self(0);
    const EVERYTHING: Self = Self(u8::MAX);

    const fn bit(right: Right) -> u8 {
        match right {
            Right::Scrape => 1,
            Right::Ingest => 2,
            Right::Admin => 4,
        }
    }

    const fn only(right: Right) -> Self {
        match right {
            Right::Admin => Self::EVERYTHING,
            Right::Scrape | Right::Ingest => Self(Self::bit(right)),
        }
    }

    /// Whether this right is among them.
    pub(crate) const fn has(self, right: Right) -> bool {
        self.0 & Self::bit(right) != 0
    }

    /// Whether nothing is opened by what was shown.
    pub(crate) const fn is_nothing(self) -> bool {
        self.0 == 0
    }
}

/// All that opens anything.
#[derive(Debug)]
pub(super) struct Credentials {
    /// Nothing is set: everything is open.
    open: bool,
    tokens: Vec<(Secret, Granted)>,
    /// `user:password`.
    user: Option<Secret>,
}

impl Credentials {
    pub(super) fn new(auth: &Auth) -> Self {
        let of_right = Right::ALL.into_iter().map(|right| (auth.of(right), Granted::only(right)));
        let kinds = of_right.chain([(auth.all.as_ref(), Granted::EVERYTHING)]);
        let tokens = kinds.flat_map(|(tokens, granted)| {
            tokens.into_iter().flat_map(move |tokens| tokens.tokens.iter().map(move |token| (token.clone(), granted)))
        });
        let user = auth.basic.as_ref();
        Self {
            open: auth.is_open(),
            tokens: tokens.collect(),
            user: user.map(|basic| Secret::new(format!("{}:{}", basic.username, basic.password.expose()))),
        }
    }

    /// Whether there is a user with a password.
    pub(super) fn take_names(&self) -> bool {
        self.user.is_some()
    }

    /// What an `Authorization` header opens, or its absence.
    pub(super) fn of_header(&self, value: Option<&[u8]>) -> Granted {
        if self.open {
            return Granted::EVERYTHING;
        }
        let Some(value) = value else { return Granted::NOTHING };
        match (bearer(value), of_scheme(b"Basic ", value)) {
            (Some(token), _) => self.of_token(token),
            (None, Some(encoded)) => self.of_user(encoded),
            (None, None) => Granted::NOTHING,
        }
    }

    /// What a token opens.
    pub(super) fn of_token(&self, given: &[u8]) -> Granted {
        if self.open {
            return Granted::EVERYTHING;
        }
        let mut granted = 0;
        for (token, rights) in &self.tokens {
            granted |= u8::conditional_select(&0, &rights.0, given.ct_eq(token.expose().as_bytes()));
        }
        Granted(granted)
    }

    /// What a user name and password open, in Base64 and with a colon between them.
    fn of_user(&self, encoded: &[u8]) -> Granted {
        let (Some(user), Ok(given)) = (&self.user, STANDARD.decode(encoded)) else { return Granted::NOTHING };
        let scrape = Granted::only(Right::Scrape).0;
        Granted(u8::conditional_select(&0, &scrape, given.ct_eq(user.expose().as_bytes())))
    }
}

/// The token of an `Authorization` header of that scheme.
pub(super) fn bearer(value: &[u8]) -> Option<&[u8]> {
    of_scheme(b"Bearer ", value)
}

fn of_scheme<'a>(scheme: &[u8], value: &'a [u8]) -> Option<&'a [u8]> {
    let (given, rest) = value.split_at_checked(scheme.len())?;
    given.eq_ignore_ascii_case(scheme).then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Basic, Tokens};

    fn tokens(tokens: &[&str]) -> Option<Tokens> {
        Some(Tokens { tokens: tokens.iter().map(|token| Secret::new(*token)).collect(), source: None })
    }

    #[test]
    fn nothing_set_is_everything_open_and_anything_set_closes_the_rest() {
        assert!(Credentials::new(&Auth::default()).of_header(None).has(Right::Admin));
        let scrape = Credentials::new(&Auth { scrape: tokens(&["s"]), ..Auth::default() });
        assert!(scrape.of_header(None).is_nothing());
        let granted = scrape.of_header(Some(b"Bearer s"));
        assert_eq!(Right::ALL.map(|right| granted.has(right)), [true, false, false]);
        // Set, and yet no token: that is not open either.
        assert!(Credentials::new(&Auth { ingest: tokens(&[]), ..Auth::default() }).of_header(None).is_nothing());
    }

    #[test]
    fn a_token_of_two_kinds_has_the_rights_of_both() {
        let auth = Auth { scrape: tokens(&["a", "both"]), ingest: tokens(&["both", "b"]), ..Auth::default() };
        let known = Credentials::new(&auth);
        let rights = |token: &[u8]| Right::ALL.map(|right| known.of_token(token).has(right));
        assert_eq!(rights(b"both"), [true, true, false]);
        assert_eq!((rights(b"a"), rights(b"b")), ([true, false, false], [false, true, false]));
        assert_eq!(rights(b"bot"), [false; 3]);
        assert_eq!(rights(b""), [false; 3]);
    }

    #[test]
    fn a_user_may_read_and_no_more() {
        let basic = Basic { username: "prom".into(), password: Secret::new("a:b c"), source: None };
        let known = Credentials::new(&Auth { basic: Some(basic), ..Auth::default() });
        let granted = |text: &str| known.of_header(Some(format!("basic {}", STANDARD.encode(text)).as_bytes()));
        assert_eq!(Right::ALL.map(|right| granted("prom:a:b c").has(right)), [true, false, false]);
        for wrong in ["prom:a:b", "prom:", "pro:a:b c", "prom:a:b cc", "", ":"] {
            assert!(granted(wrong).is_nothing(), "{wrong}");
        }
        assert!(known.of_header(Some(b"Basic prom:a:b c")).is_nothing());
        assert!(known.of_token(b"prom:a:b c").is_nothing());
    }
}
