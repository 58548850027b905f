//! The one place that sends a message to an actor.
//!
//! A mailbox bounds nothing; awaiting each reply does. So an edge is one loop that calls [`hand_over`] and nothing else,
//! and at most one of its messages waits in the mailbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message, Recipient, ResponseActFuture, fut};
use tokio::sync::mpsc;

use super::clock::Stopwatch;

/// The receiver is gone: the pipeline is coming down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the next stage is gone")]
pub struct Gone;

/// Time waited on one edge, in microseconds; the largest one is the bottleneck.
#[derive(Clone, Debug, Default)]
pub struct EdgeMeter(Arc<AtomicU64>);

impl EdgeMeter {
    /// Adds a wait.
    pub fn add_micros(&self, micros: u64) {
        self.0.fetch_add(micros, Ordering::Relaxed);
    }

    /// Everything waited so far, in microseconds.
    #[must_use]
    pub fn micros(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Hands `message` over and waits until the receiver has *taken* it into one of its counted places.
///
/// # Errors
/// [`Gone`] if the receiver has ended or dies before it has taken the message.
#[expect(clippy::disallowed_methods, reason = "the one place that sends to an actor")]
pub async fn hand_over<M>(to: &Recipient<M>, message: M, meter: &EdgeMeter) -> Result<(), Gone>
where
    M: Message<Result = ()> + Send + 'static,
{
    let watch = Stopwatch::start();
    let taken = to.send(message).await;
    meter.add_micros(watch.micros());
    taken.map_err(|_| Gone)
}

/// The recipients of one actor, in one call each.
#[must_use]
pub fn recipient<A, M>(address: &Addr<A>) -> Recipient<M>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message<Result = ()> + Send + 'static,
{
    address.clone().recipient()
}

/// The give loop of one edge: hands over whatever comes through `lane`, one at a time, until the lane is closed.
///
/// # Errors
/// [`Gone`] if the receiver has ended.
pub async fn give<M>(mut lane: mpsc::Receiver<M>, to: Recipient<M>, meter: EdgeMeter) -> Result<(), Gone>
where
    M: Message<Result = ()> + Send + 'static,
{
    while let Some(message) = lane.recv().await {
        hand_over(&to, message, &meter).await?;
    }
    Ok(())
}

/// The take handler of one edge: the reply waits until `lane` has a counted place for `input`.
///
/// A closed lane means that the actor's work is over; the message is dropped, and with it the leases that it owns.
pub fn take<A, T>(lane: &mpsc::Sender<T>, input: T) -> ResponseActFuture<A, ()>
where
    A: Actor,
    T: 'static,
{
    let lane = lane.clone();
    Box::pin(fut::wrap_future::<_, A>(async move {
        if lane.send(input).await.is_err() {
            tracing::debug!("a message came after its receiver's work was over");
        }
    }))
}
