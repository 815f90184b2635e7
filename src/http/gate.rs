//! Who may come in, and how often.
//!
//! Input: the `Authorization` header. Output: the caller, or a refusal.
//! Guarantee: tokens are looked up by their hash; all good tokens are kept in memory and read anew every 5 s, so that the
//! database is asked once for many requests, and an unknown token asks it once a second at most. A token that was
//! ended is refused after 5 s at the latest; when the database is gone, nobody is let in on old knowledge.
//! Limit: the pace is that of one process.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use tokio::sync::Mutex;

use super::problem::Problem;
use crate::config::Service;
use crate::pipeline::Context;
use crate::pipeline::access::tokens::{self, Caller, Scope};

/// After this long, tokens are read anew.
const KEPT_MAX: Duration = Duration::from_secs(5);
/// An unknown token makes them read anew after this long: it may have been made just now.
const KEPT_MIN: Duration = Duration::from_secs(1);

/// Whose pace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Paced {
    /// A token's, by its number.
    Token(i64),
    /// A provider's, which its signature names.
    Provider(String),
}

struct Known {
    read_at: Instant,
    callers: HashMap<[u8; 32], Arc<Caller>>,
}

/// The gate.
pub(super) struct Gate {
    context: Context,
    known: RwLock<Option<Arc<Known>>>,
    reading: Mutex<()>,
    pace: DefaultKeyedRateLimiter<Paced>,
}

impl Gate {
    pub(super) fn new(context: &Context) -> Self {
        Self {
            context: context.clone(),
            known: RwLock::new(None),
            reading: Mutex::new(()),
            pace: DefaultKeyedRateLimiter::keyed(quota(&context.config.settings.service)),
        }
    }

    /// The caller, where the token is good, not used too often, has the scope, and is of the institution.
    pub(super) async fn admit(
        &self,
        headers: &HeaderMap,
        scope: Scope,
        institution: Option<&str>,
    ) -> Result<Arc<Caller>, Problem> {
        let caller = self.known_caller(headers).await?;
        self.pace(&Paced::Token(caller.token))?;
        allow(&caller, scope, institution)?;
        Ok(caller)
    }

    /// The caller, where the token is good.
    pub(super) async fn known_caller(&self, headers: &HeaderMap) -> Result<Arc<Caller>, Problem> {
        let token = bearer(headers).ok_or_else(|| {
            Problem::unauthorised("a token is needed", "send `Authorization: Bearer sarf_…`")
        })?;
        self.caller(token).await
    }

    /// Takes one request off a pace.
    pub(super) fn pace(&self, whose: &Paced) -> Result<(), Problem> {
        self.pace.check_key(whose).map_err(|wait| {
            let after = wait.wait_time_from(DefaultClock::default().now());
            Problem::later(StatusCode::TOO_MANY_REQUESTS, "too many requests", after)
        })
    }

    async fn caller(&self, token: &str) -> Result<Arc<Caller>, Problem> {
        let unknown = || {
            Problem::unauthorised(
                "the token is not known, or has ended",
                "ask the operators of the service for a new one",
            )
        };
        let fingerprint = tokens::fingerprint(token).ok_or_else(unknown)?;
        let mut found = self.known(KEPT_MAX).await?.callers.get(&fingerprint).cloned();
        if found.is_none() {
            found = self.known(KEPT_MIN).await?.callers.get(&fingerprint).cloned();
        }
        found.filter(|caller| caller.expires_at > self.context.clock.now()).ok_or_else(unknown)
    }

    /// The good tokens, as they were at most `age_max` ago.
    async fn known(&self, age_max: Duration) -> Result<Arc<Known>, Problem> {
        if let Some(known) = self.fresh(age_max) {
            return Ok(known);
        }
        // One reads, the others wait for what it finds.
        let _alone = self.reading.lock().await;
        if let Some(known) = self.fresh(age_max) {
            return Ok(known);
        }
        let read_at = Instant::now();
        let callers = tokens::callers(&self.context).await.map_err(|e| Problem::store(&e))?;
        let callers = callers.into_iter().map(|(hash, caller)| (hash, Arc::new(caller))).collect();
        let known = Arc::new(Known { read_at, callers });
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&known));
        Ok(known)
    }

    fn fresh(&self, age_max: Duration) -> Option<Arc<Known>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|known| known.read_at.elapsed() < age_max).cloned()
    }
}

fn allow(caller: &Caller, scope: Scope, institution: Option<&str>) -> Result<(), Problem> {
    if !caller.scopes.contains(&scope) {
        return Err(Problem::forbidden(
            format!("the token has no scope `{scope}`"),
            "ask for a token with this scope",
        ));
    }
    if caller.institution.as_deref() != institution {
        return Err(Problem::forbidden(
            "the token is another institution's",
            "a token reaches the orders of its own institution only",
        ));
    }
    Ok(())
}

/// The token of `Authorization: Bearer …`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn quota(service: &Service) -> Quota {
    let at_least_one = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(at_least_one(service.requests_per_second)).allow_burst(at_least_one(service.burst))
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    #[test]
    fn only_bearer_tokens_are_read() {
        for (header, expected) in [
            ("Bearer sarf_x", Some("sarf_x")),
            ("bearer  sarf_x ", Some("sarf_x")),
            ("Basic sarf_x", None),
            ("sarf_x", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, header.parse().unwrap());
            assert_eq!(bearer(&headers), expected, "{header}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[test]
    fn a_token_reaches_its_own_institution_within_its_scopes() {
        let caller = |institution: Option<&str>, scopes: &[Scope]| Caller {
            token: 1,
            name: "t".into(),
            institution: institution.map(Into::into),
            scopes: scopes.to_vec(),
            expires_at: OffsetDateTime::UNIX_EPOCH,
        };
        let m2t = caller(Some("m2t"), &[Scope::Uploads]);
        let registry = caller(None, &[Scope::Events]);
        for (caller, scope, institution, allowed) in [
            (&m2t, Scope::Uploads, Some("m2t"), true),
            (&m2t, Scope::Worklists, Some("m2t"), false),
            (&m2t, Scope::Uploads, Some("cashplus"), false),
            (&m2t, Scope::Events, None, false),
            (&registry, Scope::Events, None, true),
            (&registry, Scope::Uploads, Some("m2t"), false),
        ] {
            let refused = allow(caller, scope, institution);
            assert_eq!(refused.is_ok(), allowed, "{} {scope} {institution:?}", caller.name);
        }
    }

    #[test]
    fn a_burst_is_let_through_and_then_the_pace_holds() {
        let service = Service {
            body_bytes_max: 1,
            requests_per_second: 1,
            burst: 3,
            request_s_max: 1,
            connections_max: 1,
            peer_connections_max: 1,
            tls_certificate: None,
            tls_key: None,
        };
        let pace = DefaultKeyedRateLimiter::keyed(quota(&service));
        let passed = (0..10).filter(|_| pace.check_key(&Paced::Token(1)).is_ok()).count();
        assert_eq!(passed, 3);
        assert!(pace.check_key(&Paced::Token(2)).is_ok(), "another token has a pace of its own");
        assert!(pace.check_key(&Paced::Provider("m2t".into())).is_ok());
    }
}
