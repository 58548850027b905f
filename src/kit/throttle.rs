//! How often a secret may be guessed from one place.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::clock::{Millis, millis};
use super::hash::are_same_secrets;

/// Wrong guesses from one place within [`WITHIN`], after which it has to wait.
const MOST: usize = 5;
const WITHIN: Duration = Duration::from_secs(60);
/// Places that are remembered; those that have guessed last.
const PLACES: usize = 1_024;

/// A secret of so many signs is not found by guessing, however often one may try: drawn by lot, four bits for each sign at least.
const LONG: usize = 32;

/// A secret that lets in, and who has guessed it wrong: one for all doors that it opens, so that none of them gives another five tries.
///
/// Behind a proxy strangers have the address of those who know the secret. If a right one were let in whatever others have said, one
/// could try without a pause until one is; so that is done for a secret that is too long to be found in this way. A shorter one has
/// to wait for as long as the wrong ones do.
pub struct Secret {
    word: String,
    throttle: Throttle,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("throttle", &self.throttle).finish_non_exhaustive()
    }
}

impl Secret {
    /// A secret that nobody has guessed yet.
    #[must_use]
    pub fn new(word: String) -> Self {
        Self { word, throttle: Throttle::default() }
    }

    /// Whether it is long enough to be told from wrong ones at any time.
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.word.len() >= LONG
    }

    /// Whether that is it, told from `place` at `now` (unix milliseconds).
    ///
    /// # Errors
    /// How long that place has to wait before anything wrong it says is listened to, or anything at all where the secret is short.
    pub fn is(&self, told: &str, place: IpAddr, now: Millis) -> Result<bool, Duration> {
        let is_right = are_same_secrets(told, &self.word);
        if is_right && self.is_long() {
            return Ok(true);
        }
        self.throttle.guess(place, now, is_right)
    }
}

/// The wrong guesses of the last minute.
#[derive(Debug, Default)]
struct Throttle(Mutex<BTreeMap<IpAddr, Vec<Millis>>>);

impl Throttle {
    /// Whether a guess is right, made from `place` at `now`; while that place has to wait, nobody is told.
    fn guess(&self, place: IpAddr, now: Millis, is_right: bool) -> Result<bool, Duration> {
        let place = whole(place);
        // Whoever panicked while he held it has left whole guesses.
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pause) = places.get(&place).and_then(|wrong| pause(wrong, now)) {
            return Err(pause);
        }
        if is_right {
            // The wrong ones still count: behind a proxy others have the same address.
            return Ok(true);
        }
        let wrong = places.entry(place).or_default();
        wrong.retain(|at| is_recent(*at, now));
        wrong.push(now);
        if places.len() > PLACES {
            forget_one(&mut places);
        }
        Ok(false)
    }
}

/// The secret that a request bears, by its header `Authorization`.
#[must_use]
pub fn bearer(authorization: Option<&str>) -> Option<&str> {
    authorization.and_then(|told| told.strip_prefix("Bearer ")).map(str::trim)
}

/// A pause in whole seconds, after which it is over: the header `Retry-After`.
#[must_use]
pub fn retry_after(pause: Duration) -> u64 {
    pause.as_secs() + u64::from(pause.subsec_nanos() > 0)
}

/// How long to wait after wrong guesses at these moments, the last one last.
fn pause(wrong: &[Millis], now: Millis) -> Option<Duration> {
    let recent: Vec<Millis> = wrong.iter().copied().filter(|at| is_recent(*at, now)).collect();
    let counted = recent.len().checked_sub(MOST).map(|first| recent[first])?;
    Some(WITHIN - Duration::from_millis(now.saturating_sub(counted).unsigned_abs()))
}

/// Whether it was within the last minute; one of a clock that was put back since is forgotten.
fn is_recent(at: Millis, now: Millis) -> bool {
    (0..millis(WITHIN)).contains(&now.saturating_sub(at))
}

/// An address, or the network that one household has of the sixth version.
fn whole(place: IpAddr) -> IpAddr {
    match place.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

/// The place whose last guess is the oldest.
fn forget_one(places: &mut BTreeMap<IpAddr, Vec<Millis>>) {
    let oldest = places.iter().min_by_key(|(_, wrong)| wrong.last().copied()).map(|(place, _)| *place);
    if let Some(place) = oldest {
        places.remove(&place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn at(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn after_five_wrong_guesses_within_a_minute_nothing_is_listened_to() {
        let throttle = Throttle::default();
        for now in 0..5 {
            assert_eq!(throttle.guess(HERE, now * 1_000, false), Ok(false));
        }
        let unheard = throttle.guess(HERE, 10_000, true);
        assert_eq!(unheard, Err(Duration::from_secs(50)), "until the first is a minute old");
        assert_eq!(throttle.guess(at("192.0.2.7"), 10_000, true), Ok(true), "another place is another's");
        assert_eq!(throttle.guess(HERE, 60_000, false), Ok(false));
        assert_eq!(throttle.guess(HERE, 60_001, true), Err(Duration::from_millis(999)));
        assert_eq!(throttle.guess(HERE, 61_000, true), Ok(true));
        assert_eq!(throttle.guess(HERE, 61_001, false), Ok(false));
        assert!(throttle.guess(HERE, 61_002, true).is_err(), "a right one does not make up for the wrong ones");
    }

    #[test]
    fn a_long_secret_is_let_in_whatever_others_have_guessed_and_a_short_one_waits() {
        let long = "0123456789abcdef0123456789abcdef";
        for (word, is_heard) in [(long, true), (&long[1..], false)] {
            let secret = Secret::new(word.to_owned());
            for now in 0..5 {
                assert_eq!(secret.is("guess", HERE, now), Ok(false));
            }
            assert!(secret.is("guess", HERE, 5).is_err(), "who guesses waits");
            assert_eq!(secret.is(word, HERE, 5).is_ok(), is_heard, "{word}");
            assert_eq!(secret.is(word, at("192.0.2.7"), 5), Ok(true));
            assert!(!format!("{secret:?}").contains(word));
        }
    }

    #[test]
    fn a_clock_that_is_put_back_locks_nobody_out() {
        assert_eq!(pause(&[5_000_000; 9], 1_000), None);
        assert_eq!(pause(&[1_000; 9], 1_000), Some(WITHIN));
        assert_eq!([retry_after(WITHIN), retry_after(Duration::from_millis(1_001))], [60, 2]);
    }

    #[test]
    fn a_network_is_one_place_and_few_are_remembered() {
        let throttle = Throttle::default();
        for host in 1..=5 {
            let address = at(&format!("2001:db8::{host}"));
            assert_eq!(throttle.guess(address, 0, false), Ok(false));
        }
        assert!(throttle.guess(at("2001:db8::ffff:1"), 0, true).is_err());
        assert_eq!(throttle.guess(at("2001:db8:0:1::1"), 0, true), Ok(true));
        assert_eq!(whole(at("::ffff:192.0.2.7")), at("192.0.2.7"));
        for host in 0..2_000_u32 {
            let address = IpAddr::V4(std::net::Ipv4Addr::from_bits(host));
            assert_eq!(throttle.guess(address, 1, false), Ok(false));
        }
        assert_eq!(throttle.0.lock().map(|places| places.len()).ok(), Some(PLACES));
    }
}
