//! What is left of a body after its answer is read and thrown away, so that a client that keeps its
//! connection can send the next request on it.
//!
//! A request may be answered before its body has come: for its token, its type, its length. The
//! connection serves again only after that body. Hyper closes it instead, and may have answered
//! before it does: a client then loses the next request that it sends.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use tokio_stream::StreamExt;

/// The rest of a body has so long to come.
const REST_MAX: Duration = Duration::from_secs(1);

/// Passes a request on and reads its body to the end, or says that the connection ends.
pub(super) async fn to_its_end(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    // Who waits to be told to go on is not told so for a body that nobody wants.
    let waits = request.headers().contains_key(header::EXPECT);
    let left = Left::default();
    let request = request.map(|body| Body::new(Lent { body: Some(body), left: left.clone() }));
    let mut response = next.run(request).await;
    let rest = left.lock().expect("nothing panics while it is held").take();
    if let Some(rest) = rest
        && (waits || !is_read(rest).await)
    {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Reads a body to its end, if that comes in time.
async fn is_read(body: Body) -> bool {
    let mut chunks = body.into_data_stream();
    let read = async {
        loop {
            match chunks.next().await {
                Some(Ok(_)) => {}
                Some(Err(_)) => return false,
                None => return true,
            }
        }
    };
    tokio::time::timeout(REST_MAX, read).await.unwrap_or(false)
}

/// What a handler left of a body.
type Left = Arc<Mutex<Option<Body>>>;

/// A body that comes back when it is dropped before its end.
struct Lent {
    body: Option<Body>,
    left: Left,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|it| !it.is_end_stream()) {
            *self.left.lock().expect("nothing panics while it is held") = Some(body);
        }
    }
}
