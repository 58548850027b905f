//! What this program leans on in actix, held as tests: an upgrade that changes it fails here and not in somebody's run.
//!
//! Each test has a system of its own. Counts are exact; waits end as soon as what they wait for has happened.
#![expect(clippy::disallowed_methods, reason = "this is where the banned ways are measured")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix::prelude::*;
use batchscribe::kit::budget::{Budget, Lease};
use batchscribe::kit::edge::{EdgeMeter, hand_over, recipient};
use batchscribe::kit::exit_guard::{Exit, ExitGuard, ExitNotice, NOTICES};
use batchscribe::kit::pool::{Pool, PoolError};
use batchscribe::kit::thread;
use futures_util::FutureExt as _;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::sleep;

const MOMENT: Duration = Duration::from_millis(1);

/// Runs `test` in a system of its own.
fn in_system<T>(test: impl Future<Output = T>) -> T {
    System::new().block_on(test)
}

/// Waits until `condition` holds; five seconds are for ever.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(5), "in vain: {what}");
        sleep(MOMENT).await;
    }
}

/// What becomes of messages and actors.
#[derive(Clone, Default)]
struct Tally(Arc<Counts>);

#[derive(Default)]
struct Counts {
    alive: AtomicUsize,
    most_alive: AtomicUsize,
    handled: AtomicUsize,
    ticks: AtomicUsize,
    stopped: AtomicBool,
    stopped_in_panic: AtomicBool,
    dropped: AtomicBool,
    dropped_in_panic: AtomicBool,
}

impl Tally {
    fn ticket(&self) -> Ticket {
        let alive = self.0.alive.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most_alive.fetch_max(alive, Ordering::SeqCst);
        Ticket(self.clone())
    }

    fn alive(&self) -> usize {
        self.0.alive.load(Ordering::SeqCst)
    }

    fn handled(&self) -> usize {
        self.0.handled.load(Ordering::SeqCst)
    }

    fn ticks(&self) -> usize {
        self.0.ticks.load(Ordering::SeqCst)
    }

    fn stopped(&self) -> bool {
        self.0.stopped.load(Ordering::SeqCst)
    }

    fn dropped(&self) -> bool {
        self.0.dropped.load(Ordering::SeqCst)
    }
}

/// Something that a message owns.
struct Ticket(Tally);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.0.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Work(#[expect(dead_code, reason = "owned, so that its end is counted")] Ticket);

#[derive(Message)]
#[rtype(result = "()")]
struct SlowWork(Ticket);

#[derive(Message)]
#[rtype(result = "()")]
struct Holding(#[expect(dead_code, reason = "owned, so that its end is seen")] Lease);

#[derive(Message)]
#[rtype(result = "()")]
struct StopNow;

#[derive(Message)]
#[rtype(result = "()")]
struct Panic;

#[derive(Message)]
#[rtype(result = "()")]
struct PanicLater;

#[derive(Message)]
#[rtype(result = "()")]
struct WaitFor(Budget);

/// How the test actor begins.
#[derive(Default)]
enum Beginning {
    #[default]
    Ready,
    /// Capacity 1, and deaf until told.
    Deaf(Arc<Notify>),
    SpawnsPanic,
    /// Ticks; with `true` it stops once nobody holds its address.
    Ticks(bool),
}

#[derive(Default)]
struct Tester {
    tally: Tally,
    beginning: Beginning,
    guard: Option<ExitGuard>,
}

impl Tester {
    fn new(tally: &Tally) -> Self {
        Self { tally: tally.clone(), beginning: Beginning::Ready, guard: None }
    }

    fn that(mut self, beginning: Beginning) -> Self {
        self.beginning = beginning;
        self
    }

    fn guarded(mut self, guard: ExitGuard) -> Self {
        self.guard = Some(guard);
        self
    }

    fn count(&self) {
        self.tally.0.handled.fetch_add(1, Ordering::SeqCst);
    }
}

impl Actor for Tester {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        match std::mem::take(&mut self.beginning) {
            Beginning::Ready => {}
            Beginning::Deaf(until) => {
                ctx.set_mailbox_capacity(1);
                ctx.wait(async move { until.notified().await }.into_actor(self));
            }
            Beginning::SpawnsPanic => {
                ctx.spawn(async { panic!("expected by this test") }.into_actor(self));
            }
            Beginning::Ticks(checks) => {
                ctx.run_interval(MOMENT, move |actor, ctx| {
                    actor.tally.0.ticks.fetch_add(1, Ordering::SeqCst);
                    if checks && !ctx.connected() {
                        ctx.stop();
                    }
                });
            }
        }
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.tally.0.stopped.store(true, Ordering::SeqCst);
        self.tally.0.stopped_in_panic.store(std::thread::panicking(), Ordering::SeqCst);
    }
}

impl Drop for Tester {
    fn drop(&mut self) {
        self.tally.0.dropped.store(true, Ordering::SeqCst);
        self.tally.0.dropped_in_panic.store(std::thread::panicking(), Ordering::SeqCst);
    }
}

impl Handler<Work> for Tester {
    type Result = ();
    fn handle(&mut self, _: Work, _: &mut Self::Context) {
        self.count();
    }
}

impl Handler<SlowWork> for Tester {
    type Result = ResponseActFuture<Self, ()>;
    fn handle(&mut self, work: SlowWork, _: &mut Self::Context) -> Self::Result {
        Box::pin(
            async move {
                sleep(MOMENT).await;
                drop(work.0);
            }
            .into_actor(self)
            .map(|(), actor, _| actor.count()),
        )
    }
}

impl Handler<Holding> for Tester {
    type Result = ();
    fn handle(&mut self, _: Holding, _: &mut Self::Context) {
        self.count();
    }
}

impl Handler<StopNow> for Tester {
    type Result = ();
    fn handle(&mut self, _: StopNow, ctx: &mut Self::Context) {
        if let Some(guard) = &mut self.guard {
            guard.drained();
        }
        ctx.stop();
    }
}

impl Handler<Panic> for Tester {
    type Result = ();
    fn handle(&mut self, _: Panic, _: &mut Self::Context) {
        panic!("expected by this test");
    }
}

impl Handler<PanicLater> for Tester {
    type Result = ResponseActFuture<Self, ()>;
    fn handle(&mut self, _: PanicLater, _: &mut Self::Context) -> Self::Result {
        Box::pin(async { panic!("expected by this test") }.into_actor(self))
    }
}

impl Handler<WaitFor> for Tester {
    type Result = ResponseActFuture<Self, ()>;
    fn handle(&mut self, WaitFor(budget): WaitFor, _: &mut Self::Context) -> Self::Result {
        Box::pin(async move { drop(budget.lease(1).await) }.into_actor(self))
    }
}

#[test]
fn do_send_ignores_capacity() {
    let tally = Tally::default();
    in_system(async {
        let deaf = Tester::new(&tally).that(Beginning::Deaf(Arc::default())).start();
        sleep(MOMENT).await;
        for _ in 0..10_000 {
            deaf.do_send(Work(tally.ticket()));
        }
        sleep(MOMENT).await;
        assert_eq!((tally.alive(), tally.handled()), (10_000, 0));
    });
}

#[test]
fn concurrent_sends_ignore_capacity() {
    let tally = Tally::default();
    in_system(async {
        let hear = Arc::new(Notify::new());
        let actor = Tester::new(&tally).that(Beginning::Deaf(Arc::clone(&hear))).start();
        sleep(MOMENT).await;
        let mut sends: Vec<_> = (0..1_000).map(|_| Box::pin(actor.send(Work(tally.ticket())))).collect();
        let answered = sends.iter_mut().filter_map(|send| send.as_mut().now_or_never()).count();
        assert_eq!((answered, tally.alive()), (0, 1_000));
        drop(sends);
        assert_eq!(tally.alive(), 1_000, "a dropped send leaves its message in the mailbox");
        hear.notify_one();
        until("the mailbox is empty", || tally.alive() == 0).await;
        assert_eq!(tally.handled(), 0, "whom nobody waits for is skipped");
    });
}

#[test]
fn one_awaiting_sender_is_bounded() {
    let tally = Tally::default();
    in_system(async {
        let to = recipient(&Tester::new(&tally).start());
        for _ in 0..100 {
            hand_over(&to, SlowWork(tally.ticket()), &EdgeMeter::default()).await.expect("taken");
        }
        assert_eq!((tally.handled(), tally.0.most_alive.load(Ordering::SeqCst)), (100, 1));
    });
}

#[test]
fn last_address_drains() {
    let tally = Tally::default();
    in_system(async {
        let actor = Tester::new(&tally).start();
        for _ in 0..3 {
            actor.do_send(Work(tally.ticket()));
        }
        drop(actor);
        until("the actor has stopped", || tally.stopped()).await;
        assert_eq!((tally.handled(), tally.alive()), (3, 0));
    });
}

#[test]
fn stop_drops_the_queue() {
    let tally = Tally::default();
    in_system(async {
        let actor = Tester::new(&tally).start();
        actor.do_send(StopNow);
        let behind = actor.send(Work(tally.ticket())).await;
        assert!(matches!(behind, Err(MailboxError::Closed)));
        until("the message is freed", || tally.alive() == 0).await;
        assert_eq!(tally.handled(), 0);
    });
}

#[test]
fn death_frees_the_queue() {
    let tally = Tally::default();
    in_system(async {
        let budget = Budget::new(10);
        let actor = Tester::new(&tally).start();
        actor.do_send(Panic);
        for _ in 0..10 {
            actor.do_send(Holding(budget.lease(1).await.expect("lease")));
        }
        assert_eq!(budget.free(), 0);
        until("all leases are back", || budget.free() == 10).await;
        assert_eq!(tally.handled(), 0);
    });
}

#[test]
fn panic_is_silent_and_final() {
    let tally = Tally::default();
    in_system(async {
        let actor = Tester::new(&tally).start();
        assert!(matches!(actor.send(Panic).await, Err(MailboxError::Closed)));
        until("the actor is gone", || tally.dropped()).await;
        assert!(!actor.connected());
        assert!(tally.stopped() && tally.0.stopped_in_panic.load(Ordering::SeqCst));
        assert!(tally.0.dropped_in_panic.load(Ordering::SeqCst));
    });
}

#[test]
fn spawned_panic_kills_the_actor() {
    in_system(async {
        let tally = Tally::default();
        let spawning = Tester::new(&tally).that(Beginning::SpawnsPanic).start();
        until("the spawned future killed it", || !spawning.connected()).await;
        let replying = Tester::new(&tally).start();
        assert!(matches!(replying.send(PanicLater).await, Err(MailboxError::Closed)));
        until("the reply's future killed it", || !replying.connected()).await;
    });
}

#[test]
fn waiting_reply_leaves_others_running() {
    let tally = Tally::default();
    in_system(async {
        let budget = Budget::new(1);
        let held = budget.lease(1).await.expect("lease");
        let actor = Tester::new(&tally).start();
        let mut waiting = Box::pin(actor.send(WaitFor(budget.clone())));
        assert!(waiting.as_mut().now_or_never().is_none());
        actor.send(Work(tally.ticket())).await.expect("answered meanwhile");
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(held);
        waiting.await.expect("answered at last");
    });
}

/// Gives what it sees on a watch, until that is zero.
struct Giver {
    numbers: watch::Receiver<usize>,
    to: mpsc::Sender<usize>,
    tally: Tally,
}

impl Actor for Giver {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (mut numbers, to) = (self.numbers.clone(), self.to.clone());
        let give = async move {
            while numbers.changed().await.is_ok() {
                let number = *numbers.borrow_and_update();
                if number == 0 {
                    break;
                }
                to.send(number).await.expect("somebody takes");
            }
        };
        ctx.spawn(give.into_actor(self).map(|(), _, ctx| ctx.stop()));
    }
}

impl Drop for Giver {
    fn drop(&mut self) {
        self.tally.0.dropped.store(true, Ordering::SeqCst);
    }
}

#[test]
fn give_loop_stops_its_actor() {
    let tally = Tally::default();
    in_system(async {
        let (sender, numbers) = watch::channel(0);
        let (to, mut taken) = mpsc::channel(1);
        let actor = Giver { numbers, to, tally: tally.clone() }.start();
        for number in [1, 2, 3, 4, 5] {
            sender.send(number).expect("watched");
            assert_eq!(taken.recv().await, Some(number));
        }
        sender.send(0).expect("watched");
        until("the actor is gone", || tally.dropped()).await;
        assert!(!actor.connected());
        assert_eq!(taken.recv().await, None);
    });
}

/// Takes what a thread makes, slowly.
struct Taker {
    lane: Option<mpsc::Receiver<usize>>,
    tally: Tally,
}

impl Actor for Taker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(mut lane) = self.lane.take() else { return };
        let tally = self.tally.clone();
        let take = async move {
            while lane.recv().await.is_some() {
                sleep(MOMENT).await;
                tally.0.handled.fetch_add(1, Ordering::SeqCst);
            }
        };
        ctx.spawn(take.into_actor(self).map(|(), _, ctx| ctx.stop()));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.tally.0.stopped.store(true, Ordering::SeqCst);
    }
}

#[test]
fn take_loop_is_bounded() {
    let tally = Tally::default();
    in_system(async {
        let (sender, lane) = mpsc::channel(4);
        let (notices, mut ends) = mpsc::channel(NOTICES);
        let watched = tally.clone();
        let maker = thread::spawn("maker", ExitGuard::new("maker", notices), move |guard| {
            for sent in 1..=200 {
                sender.blocking_send(sent).expect("somebody takes");
                watched.0.most_alive.fetch_max(sent - watched.handled(), Ordering::SeqCst);
            }
            guard.drained();
        })
        .expect("thread");
        let _address = Taker { lane: Some(lane), tally: tally.clone() }.start();
        until("the loop has ended with its sender", || tally.stopped()).await;
        assert_eq!(tally.handled(), 200);
        let lead = tally.0.most_alive.load(Ordering::SeqCst);
        assert!((1..=5).contains(&lead), "the thread was {lead} ahead: four in the lane, one in hand");
        maker.join().expect("maker");
        assert_eq!(ends.recv().await.map(|notice| notice.exit), Some(Exit::Drained));
    });
}

#[test]
fn interval_keeps_alive() {
    in_system(async {
        let careless = Tally::default();
        drop(Tester::new(&careless).that(Beginning::Ticks(false)).start());
        let careful = Tally::default();
        drop(Tester::new(&careful).that(Beginning::Ticks(true)).start());
        until("the checking one has stopped", || careful.stopped()).await;
        let before = careless.ticks();
        until("the other one ticks on", || careless.ticks() >= before + 5).await;
        assert!(!careless.stopped());
    });
}

#[test]
fn exit_guard_tells_three_ends() {
    let (notices, mut ends) = mpsc::channel(NOTICES);
    let guarded = |who| Tester::default().guarded(ExitGuard::new(who, notices.clone()));
    in_system(async {
        guarded("drained").start().send(StopNow).await.expect("handled");
        assert_eq!(ends.recv().await, Some(ExitNotice { who: "drained", exit: Exit::Drained, why: None }));
        drop(guarded("orphaned").start());
        assert_eq!(ends.recv().await, Some(ExitNotice { who: "orphaned", exit: Exit::Orphaned, why: None }));
        guarded("panicked").start().do_send(Panic);
        assert_eq!(ends.recv().await, Some(ExitNotice { who: "panicked", exit: Exit::Died, why: None }));
    });
}

#[test]
fn system_drop_drops_actors() {
    let tally = Tally::default();
    let runner = System::new();
    let address = runner.block_on(async {
        let address = Tester::new(&tally).start();
        address.send(Work(tally.ticket())).await.expect("handled");
        address
    });
    assert!(!tally.dropped(), "the end of block_on drops nothing");
    drop(runner);
    assert!(tally.dropped());
    assert!(!address.connected());
}

/// A web server in a system of its own, whose worker is blocked by its first request until it is released: its port, the way to
/// stop it, and its thread.
fn web_server(
    blocked: Arc<AtomicBool>,
    released: Arc<AtomicBool>,
) -> (u16, actix_web::dev::ServerHandle, std::thread::JoinHandle<()>) {
    use actix_web::{App, HttpServer, web};
    let (tell, told) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        System::new().block_on(async move {
            let block = move || {
                let (blocked, released) = (Arc::clone(&blocked), Arc::clone(&released));
                async move {
                    blocked.store(true, Ordering::SeqCst);
                    while !released.load(Ordering::SeqCst) {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    "done"
                }
            };
            let app = move || App::new().route("/", web::get().to(block.clone()));
            let server = HttpServer::new(app).workers(1).disable_signals().bind(("127.0.0.1", 0)).expect("port");
            let port = server.addrs()[0].port();
            let server = server.run();
            tell.send((port, server.handle())).expect("the test listens");
            server.await.expect("server");
        });
    });
    let (port, handle) = told.recv().expect("server started");
    (port, handle, server)
}

#[test]
fn web_system_is_separate() {
    use std::io::Write as _;
    let blocked = Arc::new(AtomicBool::new(false));
    let released = Arc::new(AtomicBool::new(false));
    let (port, handle, server) = web_server(Arc::clone(&blocked), Arc::clone(&released));
    let tally = Tally::default();
    in_system(async {
        let actor = Tester::new(&tally).start();
        let mut caller = std::net::TcpStream::connect(("127.0.0.1", port)).expect("connection");
        caller.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").expect("request");
        until("its worker is blocked", || blocked.load(Ordering::SeqCst)).await;
        // Nobody has released the worker by then.
        actor.send(Work(tally.ticket())).await.expect("handled");
        released.store(true, Ordering::SeqCst);
        handle.stop(false).await;
        let (tell, told) = oneshot::channel();
        std::thread::spawn(move || tell.send(server.join().is_ok()).expect("the test listens"));
        assert_eq!(told.await, Ok(true));
        actor.send(Work(tally.ticket())).await.expect("ours lives on");
    });
}

#[test]
fn pool_panic_is_an_error() {
    in_system(async {
        let budget = Budget::new(1);
        let pool = Pool::new("test", 1).expect("pool");
        let lease = budget.lease(1).await.expect("lease");
        let outcome = pool
            .run(move || {
                let _held = lease;
                assert!(budget_is_dry(), "expected by this test");
            })
            .await;
        assert_eq!(outcome, Err(PoolError::Panicked));
        until("the lease is back", || budget.free() == 1).await;
        assert_eq!(pool.run(|| 7).await, Ok(7), "the pool lives on");
    });
}

/// False, in a way that the compiler does not see through.
fn budget_is_dry() -> bool {
    std::hint::black_box(false)
}
