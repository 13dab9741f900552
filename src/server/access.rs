//! Who may do what: bearer tokens (RFC 6750), each with scopes.
//!
//! ```toml
//! [[token]]
//! name = "vans"
//! secret = "kJ3-8sLw_0pQ2xTz"
//! scopes = ["write"]
//! ```

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use subtle::ConstantTimeEq;

/// Characters of a secret, at least.
const SECRET_MIN: usize = 16;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scope {
    /// To ask, follow and look.
    Read,
    /// To send positions and passages, to register and remove queries.
    Write,
}

impl Scope {
    /// As the file of tokens and answers have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// A file of tokens that does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// The file does not read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is not one of tokens.
    #[error("{}: {source}", .path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// What is wrong, with its line.
        source: Box<toml::de::Error>,
    },
    /// A token is no good.
    #[error("{}: token {name:?}: {problem}", .path.display())]
    Token {
        /// Which file.
        path: PathBuf,
        /// Whose token.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There is nobody who may do anything.
    #[error("{}: it has no [[token]]; without --tokens everybody may read and write", .0.display())]
    Empty(PathBuf),
}

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    #[error("this server asks for a token: send it as 'Authorization: Bearer …'")]
    NoToken,
    #[error("this server does not know the token")]
    Unknown,
    #[error("the token has no scope {:?}, which this takes", .0.name())]
    Scope(Scope),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    token: Vec<Token>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    name: String,
    secret: String,
    scopes: Vec<Scope>,
}

/// The tokens of a server; none at all leaves it open to everybody.
#[derive(Default)]
pub(crate) struct Access {
    tokens: Option<Vec<Token>>,
}

impl Access {
    /// Reads the tokens of a file, if there is one.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, AccessError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let failed = |source| AccessError::Read { path: path.to_owned(), source };
        Self::read(path, &std::fs::read_to_string(path).map_err(failed)?)
    }

    fn read(path: &Path, text: &str) -> Result<Self, AccessError> {
        let failed = |source| AccessError::Syntax { path: path.to_owned(), source };
        let File { token: tokens } = toml::from_str(text).map_err(Box::new).map_err(failed)?;
        for (place, token) in tokens.iter().enumerate() {
            let is_there = tokens[..place].iter().any(|it| it.secret == token.secret);
            if let Some(problem) = problem(token, is_there) {
                let name = token.name.clone();
                return Err(AccessError::Token { path: path.to_owned(), name, problem });
            }
        }
        if tokens.is_empty() {
            return Err(AccessError::Empty(path.to_owned()));
        }
        Ok(Self { tokens: Some(tokens) })
    }

    /// Whether a token has a scope. Takes as long for every wrong secret of one length.
    pub(crate) fn check(&self, secret: Option<&str>, scope: Scope) -> Result<(), Denied> {
        let Some(tokens) = &self.tokens else { return Ok(()) };
        let secret = secret.ok_or(Denied::NoToken)?.as_bytes();
        let mut found = None;
        for token in tokens {
            if token.secret.as_bytes().ct_eq(secret).into() {
                found = Some(token);
            }
        }
        let token = found.ok_or(Denied::Unknown)?;
        if token.scopes.contains(&scope) { Ok(()) } else { Err(Denied::Scope(scope)) }
    }
}

/// What is wrong with a token, whose secret another has or not.
fn problem(token: &Token, is_there: bool) -> Option<&'static str> {
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"-._~".contains(&it);
    if token.secret.len() < SECRET_MIN || !token.secret.bytes().all(is_plain) {
        Some("its secret must be 16 or more letters, digits, or of - . _ ~")
    } else if token.scopes.is_empty() {
        Some("give it scopes: read, write or both")
    } else if is_there {
        Some("another has the same secret")
    } else {
        None
    }
}

/// The secret in the value of an `Authorization` header.
pub(crate) fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, secret) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const VANS: &str =
        "[[token]]\nname = 'vans'\nsecret = 'kJ3-8sLw_0pQ2xTz'\nscopes = ['write']\n";

    fn read(text: &str) -> Result<Access, String> {
        Access::read(Path::new("tokens.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_token_does_what_its_scopes_say() {
        let access = read(VANS).unwrap();
        let secret = Some("kJ3-8sLw_0pQ2xTz");
        assert_eq!(access.check(secret, Scope::Write), Ok(()));
        assert_eq!(access.check(secret, Scope::Read), Err(Denied::Scope(Scope::Read)));
        assert_eq!(access.check(None, Scope::Read), Err(Denied::NoToken));
        for wrong in ["", "kJ3-8sLw_0pQ2xT", "kJ3-8sLw_0pQ2xTzz", "kJ3-8sLw_0pQ2xTy"] {
            assert_eq!(access.check(Some(wrong), Scope::Write), Err(Denied::Unknown), "{wrong}");
        }
    }

    #[test]
    fn a_server_without_tokens_is_open() {
        let open = Access::open(None).unwrap();
        assert_eq!(open.check(None, Scope::Write), Ok(()));
        assert_eq!(open.check(Some("whatever"), Scope::Read), Ok(()));
    }

    #[test]
    fn files_that_do_not_serve_are_told_apart() {
        let errors = [
            (String::new(), "it has no [[token]]"),
            (VANS.replace("kJ3-8sLw_0pQ2xTz", "short"), "16 or more"),
            (VANS.replace("kJ3-8sLw_0pQ2xTz", "kJ3-8sLw 0pQ2xTz"), "16 or more"),
            (VANS.replace("'write'", ""), "give it scopes"),
            (VANS.replace("'write'", "'admin'"), "unknown variant `admin`"),
            (VANS.replace("name", "nick"), "unknown field `nick`"),
            (VANS.repeat(2), "another has the same secret"),
        ];
        for (text, expected) in errors {
            let error = read(&text).err().unwrap_or_default();
            assert!(error.starts_with("tokens.toml: ") && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn secrets_stand_behind_bearer() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        assert_eq!((bearer("Basic abc"), bearer("Bearer")), (None, None));
    }
}
