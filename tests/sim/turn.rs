//! Turns the wheel: polls a future and all local tasks until nothing at all can go on, then lets time skip. tokio's own
//! loop would not do, because it does not tell whether tasks wait for their turn or for time.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use tokio::runtime::Builder;
use tokio::task::LocalSet;

/// Whether anything wants to be polled.
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// Runs `life` and whatever it spawns to the end of `life`; what it spawned is dropped then, wherever it is. `idle` is
/// called whenever nothing is left to do at this moment, and has to wake somebody.
pub(crate) fn to_the_end<T>(life: impl Future<Output = T>, idle: impl Fn()) -> T {
    // Timers of the machine's clock can be made and never ring.
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _within = runtime.enter();
    let local = LocalSet::new();
    let mut life = pin!(local.run_until(life));
    let bell = Arc::new(Bell(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&bell));
    loop {
        if !bell.0.swap(false, Ordering::Acquire) {
            idle();
        } else if let Poll::Ready(end) = life.as_mut().poll(&mut Context::from_waker(&waker)) {
            return end;
        }
    }
}
