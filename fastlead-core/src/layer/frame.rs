//! What all layers have in common, written once.

use std::future::Future;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tower_service::Service;

use super::operation::{Operation, Wrapped};
use crate::error::{Error, Result};

/// What a layer does around an operation. Clones share the layer's state.
///
/// ```
/// use std::future::poll_fn;
///
/// use fastlead_core::Result;
/// use fastlead_core::layer::{Around, Operation, Wrapped};
///
/// /// Does nothing around an operation.
/// #[derive(Clone)]
/// struct Nothing;
///
/// impl Around for Nothing {
///     async fn around<S, Op>(self, mut inner: S, operation: Op) -> Result<S::Response>
///     where
///         Op: Operation,
///         S: Wrapped<Op>,
///     {
///         poll_fn(|context| inner.poll_ready(context)).await?;
///         inner.call(operation).await
///     }
/// }
/// ```
pub trait Around: Clone + Send + Sync + 'static {
    /// Carries `operation` out with `inner`, or says why not.
    ///
    /// # Behavior
    /// * May be dropped at any await point.
    fn around<S, Op>(self, inner: S, operation: Op) -> impl Future<Output = Result<S::Response>> + Send
    where
        Op: Operation,
        S: Wrapped<Op>;
}

/// A service inside a layer. It is always ready: what there is to wait for is waited for in the call.
#[derive(Debug, Clone)]
pub struct Layered<L, S> {
    layer: L,
    inner: S,
}

impl<L: Around, S> Layered<L, S> {
    /// `inner` inside `layer`.
    pub fn new(layer: &L, inner: S) -> Self {
        Self { layer: layer.clone(), inner }
    }
}

impl<L, S, Op> Service<Op> for Layered<L, S>
where
    L: Around,
    Op: Operation,
    S: Wrapped<Op>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = BoxFuture<'static, Result<S::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, operation: Op) -> Self::Future {
        Box::pin(self.layer.clone().around(self.inner.clone(), operation))
    }
}

/// Makes an [`Around`] a layer of `tower`.
macro_rules! impl_layer {
    ($layer:ident) => {
        impl<S> tower_layer::Layer<S> for $layer {
            type Service = $crate::layer::Layered<Self, S>;

            fn layer(&self, inner: S) -> Self::Service {
                $crate::layer::Layered::new(self, inner)
            }
        }
    };
}

pub(super) use impl_layer;
