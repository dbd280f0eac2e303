//! Releases and reacquires the GVL, checks for interrupts, and stops panics: the edge between Ruby's threads and the
//! core.
#![allow(unsafe_code, reason = "rb_nogvl has no safe interface")]

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::time::{Duration, Instant};

use magnus::{Error, Ruby};
use rb_sys::special_consts::Qnil;
use zen_ipc::HostLock;
use zen_ipc::gvl_policy::{GvlPolicy, MAX_HOLD, Reacquire};
use zen_ipc::sys::failpoint::failpoint;

use crate::error;

/// Runs the body of a method. Turns a panic into an exception, so that it never unwinds Ruby's frames.
///
/// # Errors
///
/// The error of `body`; `InternalError` for a panic.
pub(crate) fn rescue_panic<T>(ruby: &Ruby, body: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let instrumented = || {
        failpoint("native method");
        body()
    };
    match catch_unwind(AssertUnwindSafe(instrumented)) {
        Ok(outcome) => outcome,
        Err(panic) => Err(error::internal(ruby, &panic_message(panic.as_ref()))),
    }
}

/// Runs `body` with a [`WithoutGvl`] and turns the core's errors into exceptions. The exception that interrupted a wait
/// is raised as it came.
///
/// # Errors
///
/// As [`rescue_panic`].
pub(crate) fn without_gvl<T>(
    ruby: &Ruby,
    body: impl FnOnce(&WithoutGvl<'_>) -> Result<T, zen_ipc::Error>,
) -> Result<T, Error> {
    rescue_panic(ruby, || WithoutGvl::new(ruby, None).run(body))
}

/// As [`without_gvl`], for a caller that may hold the GVL for a short wait, as `policy` decides.
///
/// # Errors
///
/// As [`rescue_panic`].
pub(crate) fn call_without_gvl<T>(
    ruby: &Ruby,
    policy: &GvlPolicy,
    body: impl FnOnce(&WithoutGvl<'_>) -> Result<T, zen_ipc::Error>,
) -> Result<T, Error> {
    rescue_panic(ruby, || WithoutGvl::new(ruby, Some(policy)).run(body))
}

/// Returns whether the calling fiber belongs to a `Fiber.scheduler`, so that it must not block its thread.
pub(crate) fn is_fiber_scheduled() -> bool {
    // SAFETY: it only reads a field of the calling thread, which is one of Ruby's.
    let scheduler = unsafe { rb_sys::rb_fiber_scheduler_current() };
    scheduler != Qnil as rb_sys::VALUE
}

/// Blocks without the GVL. `Thread#kill`, `Thread#raise`, `Timeout` and signals end the wait at once.
pub(crate) struct WithoutGvl<'a> {
    ruby: &'a Ruby,
    policy: Option<&'a GvlPolicy>,
    /// The time since which this caller holds the GVL, if the policy counts it.
    holds_since: Cell<Option<Instant>>,
    /// The exception that Ruby raised for an interrupt. This struct is on the machine stack, where the GC finds it.
    raised: RefCell<Option<Error>>,
}

impl<'a> WithoutGvl<'a> {
    fn new(ruby: &'a Ruby, policy: Option<&'a GvlPolicy>) -> Self {
        Self { ruby, policy, holds_since: Cell::new(None), raised: RefCell::new(None) }
    }

    fn run<T>(&self, body: impl FnOnce(&Self) -> Result<T, zen_ipc::Error>) -> Result<T, Error> {
        self.begin_hold(Instant::now);
        let outcome = body(self);
        self.end_hold();
        outcome.map_err(|error| self.raised.take().unwrap_or_else(|| error::to_ruby(self.ruby, error)))
    }

    fn begin_hold(&self, clock: impl FnOnce() -> Instant) {
        self.holds_since.set(self.policy.is_some_and(GvlPolicy::is_hold_window).then(clock));
    }

    fn end_hold(&self) {
        if let (Some(policy), Some(since)) = (self.policy, self.holds_since.take()) {
            policy.record_held(since.elapsed());
        }
    }
}

impl HostLock for WithoutGvl<'_> {
    fn without_lock<R>(&self, operation: impl FnOnce() -> R) -> Option<R> {
        self.end_hold();
        let mut job = Job { operation: Some(operation), outcome: None, policy: self.policy, reacquire: None };
        let run = runner_of(&job);
        let data = ptr::from_mut(&mut job).cast::<c_void>();
        // SAFETY: `rb_nogvl` calls `run` at most once, with `data`, before it returns, so `job` outlives its use.
        // With RB_NOGVL_INTR_FAIL it never raises, so no jump skips a `Drop` here. The operation uses no Ruby.
        unsafe { rb_sys::rb_nogvl(Some(run), data, unblock_by_signal(), ptr::null_mut(), INTR_FAIL) };
        if let (Some(policy), Some(reacquire)) = (self.policy, job.reacquire) {
            let now = Instant::now();
            policy.reacquire_finished(reacquire, now);
            self.begin_hold(|| now);
        }
        match job.outcome {
            Some(Ok(value)) => Some(value),
            Some(Err(panic)) => resume_unwind(panic),
            None => None,
        }
    }

    fn spin_with_lock<R>(&self, operation: impl FnOnce(Duration) -> R) -> Option<R> {
        self.policy?.should_hold(Instant::now).then(|| operation(MAX_HOLD))
    }

    fn check_interrupts(&self) -> Result<(), zen_ipc::Error> {
        self.ruby.thread_check_ints().map_err(|raised| {
            self.raised.replace(Some(raised));
            zen_ipc::Error::Interrupted
        })
    }
}

/// Makes `rb_nogvl` return without raising, and without calling the function, if an interrupt is pending.
const INTR_FAIL: c_int = rb_sys::RB_NOGVL_INTR_FAIL as c_int;

struct Job<'a, F, R> {
    operation: Option<F>,
    /// The result; `None` until it has run.
    outcome: Option<Result<R, Box<dyn Any + Send>>>,
    policy: Option<&'a GvlPolicy>,
    reacquire: Option<Reacquire>,
}

type Runner = unsafe extern "C" fn(*mut c_void) -> *mut c_void;

fn runner_of<F: FnOnce() -> R, R>(_job: &Job<'_, F, R>) -> Runner {
    run_job::<F, R>
}

unsafe extern "C" fn run_job<F: FnOnce() -> R, R>(data: *mut c_void) -> *mut c_void {
    // SAFETY: `data` is the job of the `without_lock` that called `rb_nogvl`. It alone refers to it, and waits for
    // this.
    let job = unsafe { &mut *data.cast::<Job<'_, F, R>>() };
    job.outcome = job.operation.take().map(|operation| {
        catch_unwind(AssertUnwindSafe(|| {
            failpoint("wait");
            operation()
        }))
    });
    job.reacquire = job.policy.map(|policy| policy.reacquire_started(Instant::now()));
    ptr::null_mut()
}

/// `RUBY_UBF_IO`: Ruby ends the wait with a signal, repeated until the wait has ended. An unblock function of our own
/// would make Ruby start helper threads and double the cost of a call.
fn unblock_by_signal() -> rb_sys::rb_unblock_function_t {
    // SAFETY: Ruby compares the value and never calls it; it is not null.
    Some(unsafe { std::mem::transmute::<isize, unsafe extern "C" fn(*mut c_void)>(-1) })
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}
