//! The bytes: all of them, in order, as they come, and memory that stays flat.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::support::{Wrapped, bare, seen, within, wrap};

/// Bytes that no two places have alike, without a newline unless `lines`.
fn noise(length: usize, lines: bool) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let byte = state.to_le_bytes()[3];
            if byte == b'\n' && !lines { b' ' } else { byte }
        })
        .collect()
}

fn echoed(mut wrapped: Wrapped, input: Vec<u8>) {
    let mut stdin = wrapped.stdin.take().unwrap();
    let sent = input.clone();
    let writing = std::thread::spawn(move || stdin.write_all(&sent).unwrap());
    let output = wrapped.output();
    writing.join().unwrap();
    assert!(output == input, "{} bytes came back, of {}", output.len(), input.len());
    assert!(wrapped.wait().success());
}

#[test]
fn one_message_of_64_mib_goes_both_ways_and_memory_stays_flat() {
    let mut wrapped = Wrapped::start(wrap(&[], "cat"));
    wrapped.write(b"ready\n");
    assert_eq!(wrapped.line(), "ready");
    let before = wrapped.peak_memory();
    let mut message = noise(64 * 1024 * 1024, false);
    message.push(b'\n');
    let mut stdin = wrapped.stdin.take().unwrap();
    let mut stdout = wrapped.stdout.take().unwrap();
    let sent = message.clone();
    let writing = std::thread::spawn(move || {
        stdin.write_all(&sent).unwrap();
        stdin
    });
    let mut back = vec![0; message.len()];
    let back = within(move || {
        stdout.read_exact(&mut back).unwrap();
        back
    });
    assert!(back == message);
    let grown = wrapped.peak_memory().saturating_sub(before);
    assert!(grown < 24 * 1024, "it grew by {grown} KiB");
    drop(writing.join().unwrap());
    assert!(wrapped.wait().success());
}

#[test]
fn any_bytes_in_any_pieces_come_out_as_they_went_in() {
    echoed(Wrapped::start(wrap(&[], "cat")), noise(3 * 1024 * 1024 + 17, true));
    // In pieces that end anywhere.
    let mut wrapped = Wrapped::start(wrap(&[], "cat"));
    let input = noise(20_000, true);
    for piece in input.chunks(7) {
        wrapped.write(piece);
    }
    wrapped.close_stdin();
    assert!(wrapped.output() == input);
}

#[test]
fn half_a_line_goes_through_at_once() {
    let mut wrapped = Wrapped::start(wrap(&[], "cat"));
    for piece in ["{\"half", "a ", "\u{e9}", "line"] {
        wrapped.write(piece.as_bytes());
        let mut stdout = wrapped.stdout.take().unwrap();
        let length = piece.len();
        let (came, stdout) = within(move || {
            let mut came = vec![0; length];
            stdout.read_exact(&mut came).unwrap();
            (came, stdout)
        });
        assert_eq!(came, piece.as_bytes());
        wrapped.stdout = Some(stdout);
    }
}

#[test]
fn both_ways_at_once_and_stderr_beside_them() {
    // As much on stderr as no pipe holds, in between.
    let server = "cat & head -c 3000000 /dev/zero | tr '\\0' e >&2; wait";
    let mut wrapped = Wrapped::start(wrap(&[], &format!("exec 3<&0; {}", server.replace("cat &", "cat <&3 &"))));
    let stderr = wrapped.stderr.take().unwrap();
    let errors = std::thread::spawn(move || crate::support::read_all(stderr));
    echoed(wrapped, noise(1024 * 1024, true));
    let errors = errors.join().unwrap();
    assert_flood(&errors, b'e');
}

/// The server's own 3,000,000 bytes, and then one line of the wrapper, which has no bridge.
fn assert_flood(errors: &[u8], byte: u8) {
    let (servers, wrappers) = errors.split_at(3_000_000);
    assert!(servers.iter().all(|other| *other == byte), "something else is in between");
    let wrappers = String::from_utf8_lossy(wrappers);
    assert!(wrappers.contains("were not delivered") && wrappers.lines().count() == 1, "{wrappers}");
}

#[test]
fn a_flood_of_stderr_that_nobody_reads_holds_the_server_and_not_the_stream_before_it() {
    let mut wrapped = Wrapped::start(wrap(&[], "echo first; head -c 3000000 /dev/zero >&2; echo second"));
    assert_eq!(wrapped.line(), "first");
    let errors = crate::support::read_all(wrapped.stderr.take().unwrap());
    assert_flood(&errors, 0);
    assert_eq!(wrapped.line(), "second");
}

/// How much can be written until it would block for long.
fn accepted(wrapped: &mut Wrapped) -> usize {
    let stdin = wrapped.stdin.as_mut().unwrap();
    rustix::io::ioctl_fionbio(&mut *stdin, true).unwrap();
    let mut total = 0;
    loop {
        match stdin.write(&[b'x'; 4096]) {
            Ok(length) => total += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let mut ends = [PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::OUT)];
                let quiet = Timespec::try_from(Duration::from_millis(300)).unwrap();
                if poll(&mut ends, Some(&quiet)).unwrap() == 0 {
                    return total;
                }
            }
            Err(error) => panic!("{error}"),
        }
        assert!(total < 4 * 1024 * 1024, "no back-pressure");
    }
}

#[test]
fn a_server_that_never_reads_holds_the_client_back() {
    let mut wrapped = Wrapped::start(wrap(&[], "echo up; exec sleep 100"));
    assert_eq!(wrapped.line(), "up");
    // Two pipes and the buffer between them.
    assert!(accepted(&mut wrapped) <= 3 * 64 * 1024);
    // And where both only write, neither is lost.
    drop(wrapped);
}

#[test]
fn a_client_that_never_reads_holds_the_server_back_and_then_breaks_its_pipe() {
    let mut wrapped = Wrapped::start(wrap(&[], "exec yes"));
    assert_eq!(wrapped.line(), "y");
    let before = wrapped.peak_memory();
    std::thread::sleep(Duration::from_millis(300));
    assert!(wrapped.peak_memory().saturating_sub(before) < 16 * 1024);
    wrapped.stdout = None;
    let status = wrapped.wait();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(13), "{status}");
}

#[test]
fn what_a_client_sees_of_an_odd_server_is_what_it_sees_bare() {
    for server in [
        "printf '{\"half\":'; exit 3",
        "exit 0",
        "exit 42",
        "cat; exit 5",
        "head -c 200000 /dev/zero; exit 9",
        "kill -TERM $$",
        "kill -KILL $$",
        "kill -SEGV $$",
        "kill -ABRT $$",
        "kill -PIPE $$",
        "kill -HUP $$",
        "kill -USR1 $$",
        "echo not json at all; head -c 1000 /dev/urandom | wc -c; read line; echo \"$line\"; exit 1",
        "exec >&-; cat >/dev/null; exit 4",
        "exec <&-; echo no stdin; exit 6",
        "/nonexistent/command",
        "head -c 10 >/dev/null; echo enough; exit 2",
    ] {
        for keep_open in [false, true] {
            // Without an end of its input `cat` has none itself.
            if keep_open && server.contains("cat") {
                continue;
            }
            let input = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n";
            let wrapped = seen(wrap(&[], server), input, keep_open);
            assert_eq!(wrapped, seen(bare(server), input, keep_open), "{server}, stdin kept open: {keep_open}");
        }
    }
}
