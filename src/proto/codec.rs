//! The codec of the gRPC service: protobuf, but no message of more events than are taken at once is decoded.
//!
//! An empty event is two bytes on the wire and hundreds in memory, so a limit on the size of a message alone would let
//! a few clients take all memory there is.

use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

use crate::event::Body;

/// An answer has two entries for a rejected event, and either has a few fields besides.
const MAX_FIELDS: usize = 2 * Body::MAX_EVENTS + 16;

/// Protobuf with a bound on the fields of a message.
#[derive(Debug, Clone)]
pub struct BoundedCodec<T, U>(ProstCodec<T, U>);

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> Self {
        Self(ProstCodec::default())
    }
}

impl<T, U> Codec for BoundedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        self.0.encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(self.0.decoder())
    }
}

/// The decoding half.
#[derive(Debug, Clone)]
pub struct BoundedDecoder<U>(ProstDecoder<U>);

impl<U: Message + Default> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // The whole message stands in one chunk.
        if fields(bytes::Buf::chunk(buf)) > MAX_FIELDS {
            let max = Body::MAX_EVENTS;
            let why = format!("the batch holds more than {max} events: send them in several");
            return Err(Status::invalid_argument(why));
        }
        self.0.decode(buf)
    }
}

/// How many fields a message has, up to the first that cannot be read: there decoding fails too.
fn fields(mut message: &[u8]) -> usize {
    let mut count = 0;
    while let Some(rest) = after_field(message) {
        message = rest;
        count += 1;
    }
    count
}

fn after_field(message: &[u8]) -> Option<&[u8]> {
    let (key, rest) = varint(message)?;
    match key & 7 {
        0 => varint(rest).map(|(_, rest)| rest),
        1 => rest.get(8..),
        2 => {
            let (length, rest) = varint(rest)?;
            rest.get(usize::try_from(length).ok()?..)
        }
        5 => rest.get(4..),
        _ => None,
    }
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proto::v1;

    proptest! {
        #[test]
        fn the_fields_of_any_bytes_are_counted_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(fields(&bytes) <= bytes.len() / 2);
        }
    }

    #[test]
    fn fields_are_counted_whatever_their_type() {
        let events = vec![v1::Event { traceparent: "x".repeat(1000), ..v1::Event::default() }; 300];
        let request = v1::RecordRequest { batch_id: Some(u64::MAX), events };
        assert_eq!(fields(&request.encode_to_vec()), 301);
        let other = v1::McpEvent { duration_seconds: Some(1.0), ..v1::McpEvent::default() };
        assert_eq!(fields(&other.encode_to_vec()), 1);
        assert_eq!(fields(b""), 0);
        assert_eq!(fields(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), 0);
    }
}
