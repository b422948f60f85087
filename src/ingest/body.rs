//! The bytes of a request's body, up to a limit, and out of their gzip.

use std::io::Read as _;
use std::sync::Arc;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many bodies of the largest size may be read at once; smaller ones accordingly more.
const FULL_BODIES: usize = 32;

/// What bodies may take, each and all together.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    most: usize,
    bytes: Arc<Semaphore>,
}

/// A body that was read, and the room that it takes until it is dropped.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    room: Option<OwnedSemaphorePermit>,
}

/// Why a body was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It is larger than bodies may be.
    TooLarge,
    /// There is no room for it now.
    NoRoom,
    /// It is not what it should be.
    Malformed(String),
}

impl Room {
    pub(crate) fn new(most: usize) -> Self {
        let all = most.saturating_mul(FULL_BODIES).min(Semaphore::MAX_PERMITS);
        Self { most, bytes: Arc::new(Semaphore::new(all)) }
    }

    /// The most bytes of one body.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Reads a body. What says at once that it is too large is not read at all.
    pub(crate) async fn read(&self, mut body: Body) -> Result<Received, Unread> {
        if body.size_hint().lower() > self.most as u64 {
            return Err(Unread::TooLarge);
        }
        let mut received = Received { bytes: Bytes::new(), room: None };
        let mut buffer = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Unread::Malformed(format!("the body could not be read: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            if buffer.len() + data.len() > self.most {
                return Err(Unread::TooLarge);
            }
            self.take(data.len(), &mut received.room)?;
            buffer.extend_from_slice(&data);
        }
        received.bytes = buffer.freeze();
        Ok(received)
    }

    /// Reads a body out of its gzip; the limit holds for what comes out too.
    pub(crate) async fn gunzip(&self, compressed: Received) -> Result<Received, Unread> {
        let most = self.most;
        let Received { bytes, mut room } = compressed;
        // What it will take is not known before: room for the most is asked for.
        self.take(most, &mut room)?;
        let inflated = tokio::task::spawn_blocking(move || inflate(&bytes, most)).await;
        let bytes =
            inflated.map_err(|_| Unread::Malformed("the body could not be read out of its gzip".to_owned()))??;
        Ok(Received { bytes, room })
    }

    fn take(&self, bytes: usize, room: &mut Option<OwnedSemaphorePermit>) -> Result<(), Unread> {
        let bytes = u32::try_from(bytes).map_err(|_| Unread::TooLarge)?;
        let more = Arc::clone(&self.bytes).try_acquire_many_owned(bytes).map_err(|_| Unread::NoRoom)?;
        match room {
            Some(room) => room.merge(more),
            None => *room = Some(more),
        }
        Ok(())
    }
}

fn inflate(compressed: &[u8], most: usize) -> Result<Bytes, Unread> {
    let mut bytes = Vec::new();
    let mut decoder = MultiGzDecoder::new(compressed).take((most as u64).saturating_add(1));
    decoder.read_to_end(&mut bytes).map_err(|error| {
        Unread::Malformed(format!("the body is not valid gzip, though Content-Encoding says so: {error}"))
    })?;
    if bytes.len() > most { Err(Unread::TooLarge) } else { Ok(bytes.into()) }
}
