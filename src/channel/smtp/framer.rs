//! Cuts what a relay says into replies, and makes each fit to be read. Pure; reads nothing itself.
//!
//! RFC 5321 section 4.2 asks a client to go by the code alone, and after the final dot a reply that cannot be
//! read means a duplicate; so replies are made readable here: long ones cut, odd ones (a bare code, LF alone
//! at a line's end, bytes that are no UTF-8) straightened. What stands behind a reply waits until the next one
//! is awaited.

/// The most bytes of a line that are kept.
const LINE_LIMIT: usize = 900;

/// The most lines of a reply that are kept, beside the last one.
const LINES_LIMIT: usize = 64;

/// Where in a reply we are.
#[derive(Debug, Default)]
pub struct Framer {
    /// The line that has not ended yet, cut.
    line: Vec<u8>,
    /// Lines of this reply that have ended.
    lines: usize,
}

impl Framer {
    /// Takes bytes up to the end of a reply, or all of them; adds its tidied lines to `reply`.
    ///
    /// Says how many bytes were taken, and whether the reply is complete.
    pub fn take(&mut self, raw: &[u8], reply: &mut Vec<u8>) -> (usize, bool) {
        let mut taken = 0;
        for piece in raw.split_inclusive(|b| *b == b'\n') {
            taken += piece.len();
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let room = LINE_LIMIT - self.line.len();
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if !ends {
                break;
            }
            let line = &self.line;
            let goes_on = line.len() > 3 && line[3] == b'-' && line[..3].iter().all(u8::is_ascii_digit);
            if !goes_on || self.lines < LINES_LIMIT {
                tidy(line, reply);
            }
            self.line.clear();
            self.lines += 1;
            if !goes_on {
                self.lines = 0;
                return (taken, true);
            }
        }
        (taken, false)
    }
}

/// One line in UTF-8, printable, with a blank behind a bare code, and CR LF at its end.
fn tidy(line: &[u8], reply: &mut Vec<u8>) {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let is_text = std::str::from_utf8(line).is_ok();
    reply.extend(line.iter().map(|&b| match b {
        b'\t' | 0x20..=0x7e => b,
        0x80.. if is_text => b,
        _ => b'?',
    }));
    if line.len() == 3 {
        reply.push(b' ');
    }
    reply.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::smtp::reply::Reply;
    use proptest::prelude::*;

    /// Everything that is said, as replies, fed in pieces of `size` bytes.
    fn replies(said: &[u8], size: usize) -> Vec<String> {
        let mut framer = Framer::default();
        let (mut all, mut reply) = (Vec::new(), Vec::new());
        for piece in said.chunks(size.max(1)) {
            let mut rest = piece;
            while !rest.is_empty() {
                let (taken, complete) = framer.take(rest, &mut reply);
                rest = &rest[taken..];
                if complete {
                    all.push(String::from_utf8(std::mem::take(&mut reply)).unwrap());
                }
            }
        }
        all
    }

    #[test]
    fn odd_replies_are_made_readable() {
        let cases: [(&[u8], &[&str]); 7] = [
            (b"250 ok\r\n", &["250 ok\r\n"]),
            (b"250\r\n", &["250 \r\n"]),
            (b"250-a\n250 b\n", &["250-a\r\n250 b\r\n"]),
            (b"250 caf\xe9\r\n", &["250 caf?\r\n"]),
            ("250 café\r\n".as_bytes(), &["250 café\r\n"]),
            (b"250 a\0b\x1b\r\n421 bye\r\n", &["250 a?b?\r\n", "421 bye\r\n"]),
            (b"250 unfinished", &[]),
        ];
        for (said, expected) in cases {
            for size in [1, 2, 5, 100] {
                assert_eq!(replies(said, size), expected, "{said:?}");
            }
        }
    }

    #[test]
    fn a_huge_reply_keeps_its_code_and_a_bounded_rest() {
        let line = [b"550-", &[b'x'; 20_000][..], b"\r\n"].concat();
        let mut said = line.repeat(500);
        said.extend_from_slice(b"550 end\r\n");
        let replies = replies(&said, 4_096);
        assert!(replies[0].len() < 100_000, "{}", replies[0].len());
        let reply = Reply::parse(replies[0].as_bytes()).unwrap();
        assert_eq!((reply.code, reply.lines.last().unwrap().as_str()), (550, "end"));
    }

    proptest! {
        #[test]
        fn what_is_said_never_depends_on_how_it_arrives(said: Vec<u8>, size in 1usize..50) {
            prop_assert_eq!(replies(&said, size), replies(&said, usize::MAX));
        }

        #[test]
        fn any_well_formed_reply_is_parsed(code in 200u16..600, text in "[ -~é]{0,2000}") {
            let replies = replies(format!("{code}-{text}\r\n{code} {text}\n").as_bytes(), 7);
            let reply = Reply::parse(replies[0].as_bytes()).unwrap();
            prop_assert_eq!(reply.code, code);
        }
    }
}
