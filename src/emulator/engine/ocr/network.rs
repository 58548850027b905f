//! A network, and the single threads it runs on.

use std::sync::{Arc, Mutex, PoisonError};

use rten::{Model, ModelOptions, RunOptions, ThreadPool};
use rten_tensor::NdTensor;

use super::OcrError;

/// One loaded network with one input and one output.
pub(super) struct Network {
    model: Model,
}

impl Network {
    /// Reads an ONNX file that lies in the executable.
    pub(super) fn load(onnx: &'static [u8]) -> Result<Self, OcrError> {
        let model =
            ModelOptions::with_all_ops().load_static_slice(onnx).map_err(|error| OcrError::Model(error.to_string()))?;
        Ok(Self { model })
    }

    /// Runs the network over `input` (batch, colour, row, column) on `lane`.
    pub(super) fn run<const N: usize>(
        &self,
        input: NdTensor<f32, 4>,
        lane: &Lane<'_>,
    ) -> Result<NdTensor<f32, N>, OcrError> {
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&lane.thread)));
        let output =
            self.model.run_one(input.into(), Some(options)).map_err(|error| OcrError::Model(error.to_string()))?;
        output.try_into().map_err(|error| OcrError::Model(format!("an answer of another shape: {error}")))
    }
}

/// Threads for networks to run on: one for each page that is being read.
///
/// Left alone, the runtime takes every core for every run; callers read pages in parallel on a pool
/// of their own and would get far more threads than cores. A thread is made when more pages are read at
/// once than ever before, and kept.
#[derive(Default)]
pub(super) struct Lanes {
    idle: Mutex<Vec<Arc<ThreadPool>>>,
}

impl Lanes {
    /// A thread of the caller's own until the lane is dropped.
    pub(super) fn take(&self) -> Lane<'_> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let thread = idle.unwrap_or_else(|| Arc::new(ThreadPool::with_num_threads(1)));
        Lane { thread, home: self }
    }
}

/// One borrowed thread; goes back when dropped.
pub(super) struct Lane<'a> {
    thread: Arc<ThreadPool>,
    home: &'a Lanes,
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        self.home.idle.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&self.thread));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_as_many_threads_as_pages_were_read_at_once() {
        let lanes = Lanes::default();
        drop((lanes.take(), lanes.take()));
        drop(lanes.take());
        assert_eq!(lanes.idle.lock().expect("not poisoned").len(), 2);
    }

    #[test]
    fn refuses_bytes_that_are_no_network() {
        assert!(matches!(Network::load(b"not a network"), Err(OcrError::Model(_))));
    }
}
