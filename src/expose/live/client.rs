//! One client of the feed, from its upgrade to its close.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::Live;
use super::protocol::{Request, Told};
use super::registry::Member;
use crate::config::{Right, Secret};
use crate::event::Timestamp;
use crate::serve::Stop;

/// The largest message that a client may send.
const MESSAGE: usize = 64 * 1024;
/// What is larger than this is not even read to its end, and its close may be lost with the rest of it.
const UNREAD: usize = 4 * MESSAGE;
/// What is read and written at a time.
const BUFFER: usize = 8 * 1024;
/// From the upgrade to the token.
const TOKEN_TIME: Duration = Duration::from_secs(5);
/// A message that could not be written for so long never will be.
const STALL: Duration = Duration::from_secs(30);
/// The longest from one ping to the next.
const PING: Duration = Duration::from_secs(20);
/// For a client that is told to go to do so.
const CLOSE: Duration = Duration::from_secs(1);
/// The code of the close where the token was missing or wrong.
const UNAUTHORIZED: u16 = 4001;
/// The code of the close where the token gives other rights.
const FORBIDDEN: u16 = 4003;

/// An upgrade within the bounds of the feed.
pub(super) fn bounded(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade.max_message_size(UNREAD).max_frame_size(UNREAD).read_buffer_size(BUFFER).write_buffer_size(BUFFER)
}

/// Serves a client to its end; `admitted`, if it need not show the token any more.
pub(super) async fn serve(socket: WebSocket, live: &Live, admitted: bool) {
    let mut client = Client { socket, stop: live.0.stop.clone() };
    let Err(end) = client.watch(live, admitted).await;
    client.close(end).await;
}

/// Why a client's connection ends.
enum End {
    /// It closed, or is gone.
    Left,
    Stopping,
    NoToken,
    NoRight,
    TooLarge,
    Malformed,
    Behind,
    Silent,
}

impl End {
    fn frame(&self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::Left => return None,
            Self::Stopping => (close_code::AWAY, "the bridge is stopping"),
            Self::NoToken => (UNAUTHORIZED, "the first message must carry the token within 5 s"),
            Self::NoRight => (FORBIDDEN, "this needs the right `scrape`, which the token does not give"),
            Self::TooLarge => (close_code::SIZE, "messages may have 64 KiB at most"),
            Self::Malformed => (close_code::PROTOCOL, "this is not a WebSocket message"),
            Self::Behind => (close_code::AGAIN, "too many updates were lost in a row"),
            Self::Silent => (close_code::AGAIN, "no answer to pings"),
        };
        Some(CloseFrame { code, reason: Utf8Bytes::from_static(reason) })
    }
}

/// What there is to do next.
enum Next {
    Answer(Bytes),
    Send(Message),
    Nothing,
}

struct Client {
    socket: WebSocket,
    stop: Stop,
}

impl Client {
    async fn watch(&mut self, live: &Live, admitted: bool) -> Result<Infallible, End> {
        self.send(&Told::Connected {
            version: admitted.then_some(env!("CARGO_PKG_VERSION")),
            interval_seconds: live.0.settings.interval.as_secs_f64(),
            auth_required: !admitted,
            timestamp: Timestamp::now(),
        })
        .await?;
        if !admitted {
            timeout(TOKEN_TIME, self.take_token(live)).await.unwrap_or(Err(End::NoToken))?;
            self.send(&Told::AuthConfirmed).await?;
        }
        let mut member = live.0.registry.join();
        let ping = (live.0.silence / 3).clamp(Duration::from_millis(1), PING);
        let mut pings = interval_at(Instant::now() + ping, ping);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            let next = tokio::select! {
                () = self.stop.draining() => return Err(End::Stopping),
                _ = &mut member.sent_away => return Err(End::Behind),
                () = sleep_until(heard + ping * 3) => return Err(End::Silent),
                _ = pings.tick() => Next::Send(Message::Ping(Default::default())),
                message = self.socket.recv() => {
                    heard = Instant::now();
                    content(message)?.map_or(Next::Nothing, Next::Answer)
                }
                Some(update) = member.queue.recv() => Next::Send(Message::Text(update)),
            };
            match next {
                Next::Nothing => {}
                Next::Send(message) => self.write(message, Some(&mut member.sent_away)).await?,
                Next::Answer(message) => self.answer(&message, live, &mut member).await?,
            }
        }
    }

    /// Waits for the first message, which must carry the token.
    async fn take_token(&mut self, live: &Live) -> Result<(), End> {
        loop {
            let message = tokio::select! {
                () = self.stop.draining() => return Err(End::Stopping),
                message = self.socket.recv() => message,
            };
            let Some(message) = content(message)? else { continue };
            return match Request::read(&message) {
                Ok(Request::Auth(token)) => check(live, &token),
                _ => Err(End::NoToken),
            };
        }
    }

    async fn answer(&mut self, message: &[u8], live: &Live, member: &mut Member) -> Result<(), End> {
        let error;
        let skill;
        let told = match Request::read(message) {
            Ok(Request::Auth(token)) => {
                check(live, &token)?;
                Told::AuthConfirmed
            }
            Ok(Request::Subscribe(name)) => {
                skill = name;
                member.wants(Some(skill.clone()));
                Told::SubscriptionConfirmed { skill: &skill }
            }
            Ok(Request::Unsubscribe) => {
                member.wants(None);
                Told::UnsubscriptionConfirmed
            }
            Ok(Request::Ping) => Told::Pong { timestamp: Timestamp::now() },
            Err(wrong) => {
                error = wrong;
                Told::Error { error: &error }
            }
        };
        self.write(Message::Text(told.text()), Some(&mut member.sent_away)).await
    }

    async fn send(&mut self, told: &Told<'_>) -> Result<(), End> {
        self.write(Message::Text(told.text()), None).await
    }

    /// Writes a message, unless the client is to go before it is written.
    async fn write(
        &mut self,
        message: Message,
        sent_away: Option<&mut oneshot::Receiver<Infallible>>,
    ) -> Result<(), End> {
        let away = async {
            match sent_away {
                Some(sent_away) => drop(sent_away.await),
                None => pending().await,
            }
        };
        tokio::select! {
            written = timeout(STALL, self.socket.send(message)) => match written {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(End::Left),
                Err(_) => Err(End::Behind),
            },
            () = away => Err(End::Behind),
            () = self.stop.draining() => Err(End::Stopping),
        }
    }

    /// Says why it ends, and waits a moment for the client to agree.
    async fn close(mut self, end: End) {
        let farewell = async {
            if let Some(frame) = end.frame() {
                tracing::debug!(code = frame.code, reason = %frame.reason, "a feed is closed");
                if self.socket.send(Message::Close(Some(frame))).await.is_err() {
                    return;
                }
            }
            while let Some(Ok(_)) = self.socket.recv().await {}
        };
        // Who does not agree in time is cut off.
        let _ = timeout(CLOSE, farewell).await;
    }
}

/// Whether the token opens the feed.
fn check(live: &Live, token: &Secret) -> Result<(), End> {
    let granted = live.0.auth.grants(token.expose().as_bytes());
    if granted.has(Right::Scrape) {
        Ok(())
    } else if granted.is_nothing() {
        Err(End::NoToken)
    } else {
        Err(End::NoRight)
    }
}

/// What a message holds; `None` of those that only show that the client is there.
fn content(message: Option<Result<Message, axum::Error>>) -> Result<Option<Bytes>, End> {
    let content = match message {
        None | Some(Ok(Message::Close(_))) => return Err(End::Left),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(None),
        Some(Ok(message)) => message.into_data(),
        Some(Err(error)) => {
            return Err(match error.into_inner().downcast_ref() {
                Some(tungstenite::Error::Capacity(_)) => End::TooLarge,
                Some(tungstenite::Error::Protocol(_) | tungstenite::Error::Utf8(_)) => End::Malformed,
                _ => End::Left,
            });
        }
    };
    if content.len() > MESSAGE { Err(End::TooLarge) } else { Ok(Some(content)) }
}
